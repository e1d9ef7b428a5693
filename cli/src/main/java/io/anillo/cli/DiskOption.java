package io.anillo.cli;

import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.nbd.NbdAddress;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.TypeConversionException;

/**
 * The value of {@code --disk}: {@code FILE}, an NBD address or {@code volume:NAME}, and options
 * after commas; a comma in a name is doubled.
 *
 * <p>The format is told by the option or by the ending of the file's name, never by the contents:
 * those are the guest's, who could make a raw disk look like an image that builds on any file.
 *
 * @param location a path, an NBD address or a volume's name
 * @param format of an image
 * @param direct past the host's page cache
 * @param poolDisks the disks of the pool that a volume is in; empty for everything else
 */
record DiskOption(
    String location,
    ImageFormat format,
    boolean readOnly,
    boolean direct,
    Optional<String> snapshot,
    List<Path> poolDisks,
    Optional<Path> passphraseFile) {
  private static final String VOLUME = "volume:";

  DiskOption {
    poolDisks = List.copyOf(poolDisks);
  }

  /** Whether it is a file of the host, or several. */
  boolean isFile() {
    return poolDisks.isEmpty() && !NbdAddress.recognises(location);
  }

  static DiskOption parse(String text) {
    List<String> parts = OptionValues.commaSeparated(text);
    String location = parts.getFirst();
    boolean volume = location.startsWith(VOLUME);
    Optional<ImageFormat> format = Optional.empty();
    boolean readOnly = false;
    boolean direct = false;
    Optional<String> snapshot = Optional.empty();
    List<Path> pool = new ArrayList<>();
    Optional<Path> passphrase = Optional.empty();
    for (String part : parts.subList(1, parts.size())) {
      int equals = part.indexOf('=');
      String value = part.substring(equals + 1);
      switch (equals < 0 ? part : part.substring(0, equals)) {
        case "readonly" -> readOnly = switched(part);
        case "direct" -> direct = switched(part);
        case "format" -> format = Optional.of(format(value));
        case "snapshot" -> snapshot = Optional.of(value);
        case "pool" -> pool.add(path(value));
        case "passphrase-file" -> passphrase = Optional.of(path(value));
        default ->
            throw new TypeConversionException(
                "'"
                    + part
                    + "' is not an option of a disk; format=FORMAT, readonly, direct,"
                    + " snapshot=NAME, pool=DISK and passphrase-file=FILE are");
      }
    }
    if (volume == pool.isEmpty()) {
      throw new TypeConversionException(
          "'" + text + "': a volume and its pool go together: volume:NAME,pool=DISK,pool=DISK");
    }
    String name = volume ? location.substring(VOLUME.length()) : location;
    boolean nbd = NbdAddress.recognises(name);
    if (!volume && !nbd) {
      path(name);
    }
    ImageFormat known = format.orElse(nbd ? ImageFormat.RAW : byName(name));
    return new DiskOption(
        name, known, readOnly || snapshot.isPresent(), direct, snapshot, pool, passphrase);
  }

  private static boolean switched(String part) {
    return switch (part.substring(part.indexOf('=') + 1)) {
      case "on", "readonly", "direct" -> true;
      case "off" -> false;
      default -> throw new TypeConversionException("'" + part + "' is neither on nor off");
    };
  }

  private static ImageFormat format(String name) {
    try {
      return ImageFormat.of(name);
    } catch (IOException unknown) {
      throw new TypeConversionException(
          "the disk format '" + name + "' is not known; raw, qcow2, vdi, vpc, vhdx and vmdk are");
    }
  }

  private static ImageFormat byName(String name) {
    String ending = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    return switch (ending) {
      case "qcow2" -> ImageFormat.QCOW2;
      case "vdi" -> ImageFormat.VDI;
      case "vhd" -> ImageFormat.VHD;
      case "vhdx" -> ImageFormat.VHDX;
      case "vmdk" -> ImageFormat.VMDK;
      default -> ImageFormat.RAW;
    };
  }

  private static Path path(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new TypeConversionException("'" + text + "' is not a file name");
    }
  }
}
