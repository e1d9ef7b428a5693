package io.anillo.cli;

import io.anillo.cli.image.GuestCache;
import io.anillo.vmm.x86.translate.Translator;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.CRC32C;

/**
 * What the translator learned of a kernel in earlier runs: a file for each kernel image, below the
 * home directory or in {@code ANILLO_PROFILES}; "off" there keeps nothing. Whether it can be read
 * or written changes nothing but speed.
 */
final class LearnedCode {
  private static final System.Logger LOG = System.getLogger(LearnedCode.class.getName());
  private static final String VARIABLE = "ANILLO_PROFILES";

  private final Optional<Path> file;

  private LearnedCode(Optional<Path> file) {
    this.file = file;
  }

  static LearnedCode of(ByteBuffer kernel) {
    String place = System.getenv(VARIABLE);
    if ("off".equals(place)) {
      return new LearnedCode(Optional.empty());
    }
    Path directory =
        place == null || place.isEmpty()
            ? GuestCache.homeOfUser().resolve("profiles")
            : Path.of(place);
    CRC32C sum = new CRC32C();
    sum.update(kernel.duplicate());
    String name = HexFormat.of().toHexDigits((int) sum.getValue()) + "-" + kernel.remaining();
    return new LearnedCode(Optional.of(directory.resolve(name)));
  }

  /** Before the machine runs. */
  void bringTo(Translator translator) {
    file.ifPresent(translator::useProfile);
  }

  /** After the machine ran. */
  void takeFrom(Translator translator) {
    if (file.isEmpty()) {
      return;
    }
    try {
      translator.saveProfile(file.get());
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "what was learned of the kernel could not be kept", e);
    }
  }
}
