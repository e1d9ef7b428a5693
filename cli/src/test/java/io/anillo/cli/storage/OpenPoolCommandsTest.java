package io.anillo.cli.storage;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Commands on a pool that somebody else has open, who carries them out. */
class OpenPoolCommandsTest {
  @TempDir Path folder;

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  /** The command as a whole: its words are sent to whoever has the pool open. */
  @Command(subcommands = {PoolCommand.class, VolumeCommand.class})
  private static final class Anillo {}

  private static void succeed(String... words) {
    assertThat(new CommandLine(new Anillo()).execute(words)).isZero();
  }

  private String receive(byte[] stream, boolean good) {
    String[] words = {"volume", "receive", "-d", path("there"), "copy"};
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream(stream));
    try {
      if (good) {
        succeed(words);
        return "";
      }
      return StorageMistakesTest.mistake(new Anillo(), words);
    } finally {
      System.setIn(before);
    }
  }

  @BeforeEach
  void makePools() {
    for (String pool : List.of("here", "there")) {
      succeed("pool", "create", pool, path(pool), "--make-files", "32M");
    }
    succeed("volume", "create", "-d", path("here"), "v", "8M");
  }

  @Test
  void aStreamFromTheStandardInputIsReceivedAndAnswered() throws IOException {
    Files.write(folder.resolve("image"), new byte[] {1, 2, 3, 4});
    succeed("volume", "import", "-d", path("here"), path("image"), "v");
    String stream = path("stream");
    try (Pools.OpenPool here = Pools.open(List.of(folder.resolve("here")), false);
        Pools.OpenPool there = Pools.open(List.of(folder.resolve("there")), false)) {
      succeed("volume", "snapshot", "-d", path("here"), "v", "one");
      succeed("volume", "send", "-d", path("here"), "v", "one", "--file", stream);
      byte[] sent = Files.readAllBytes(Path.of(stream));
      receive(sent, true);
      assertThat(there.pool().status().volumes())
          .singleElement()
          .satisfies(copy -> {
            assertThat(copy.name()).isEqualTo("copy");
            assertThat(copy.snapshots()).hasSize(1);
          });
      assertThat(receive(sent, false)).startsWith("anillo: ").contains("copy").doesNotContain("\n");
      sent[sent.length - 1] ^= 1;
      succeed("volume", "delete", "-d", path("there"), "copy");
      assertThat(receive(sent, false))
          .isEqualTo("anillo: the stream is damaged: its checksum is wrong");
      assertThat(there.pool().status().volumes()).isEmpty();
      assertThat(here.pool().status().volumes()).hasSize(1);
    }
  }
}
