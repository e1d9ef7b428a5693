package io.anillo.cli.storage;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What people mistype ends in one sentence that names it, and changes nothing. */
class StorageMistakesTest {
  private static final int FAILED = 4;

  @TempDir Path folder;

  private String path(String name) {
    return folder.resolve(name).toString();
  }

  /** Runs a command that is to fail, and returns what it said. */
  private static String mistake(Object family, String... words) {
    PrintStream errors = System.err;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    System.setErr(new PrintStream(said, true, StandardCharsets.UTF_8));
    try {
      assertThat(new CommandLine(family).execute(words)).isEqualTo(FAILED);
    } finally {
      System.setErr(errors);
    }
    return said.toString(StandardCharsets.UTF_8).strip();
  }

  @Test
  void whatIsInNoPoolIsNotDestroyed() throws IOException {
    byte[] contents = "somebody's letters".repeat(1000).getBytes(StandardCharsets.UTF_8);
    Path file = Files.write(folder.resolve("letters"), contents);
    new CommandLine(new PoolCommand()).execute("create", "p", path("disk"), "--make-files", "32M");
    byte[] pool = Files.readAllBytes(folder.resolve("disk"));
    assertThat(mistake(new PoolCommand(), "destroy", "--yes", path("disk"), path("letters")))
        .isEqualTo("anillo: " + file + " belongs to no pool; nothing was changed");
    assertThat(file).hasBinaryContent(contents);
    assertThat(folder.resolve("disk")).hasBinaryContent(pool);
    assertThat(new CommandLine(new PoolCommand()).execute("destroy", "--yes", path("disk")))
        .isZero();
  }

  @Test
  void aPoolThatCannotBeMadeLeavesNoFiles() throws IOException {
    Files.createFile(folder.resolve("present"));
    assertThat(
            mistake(
                new PoolCommand(),
                "create",
                "p",
                path("new"),
                path("present"),
                "--make-files",
                "32M"))
        .isEqualTo("anillo: " + path("present") + " already exists");
    assertThat(mistake(new PoolCommand(), "create", "p", path("new"), "--make-files", "1M"))
        .startsWith("anillo: ");
    assertThat(folder.resolve("new")).doesNotExist();
  }

  @Test
  void anImageInAFolderThatIsNotThere() {
    assertThat(mistake(new DiskCommand(), "create", path("none/x"), "1G"))
        .isEqualTo("anillo: there is no folder " + path("none") + " to make " + path("none/x"));
  }

  @Test
  void anApplianceThatIsCutShortOrLacksTheDisk() throws Exception {
    Path description = folder.resolve("a.ovf");
    Files.writeString(
        description,
        """
        <Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1">
        <References><File id="f" href="one.img"/></References>
        <DiskSection><Disk diskId="d" fileRef="f"/></DiskSection></Envelope>
        """);
    Files.write(folder.resolve("one.img"), new byte[1 << 20]);
    Process tar =
        new ProcessBuilder("tar", "-cf", path("a.ova"), "-C", path(""), "a.ovf", "one.img")
            .inheritIO()
            .start();
    assertThat(tar.waitFor()).isZero();
    assertThat(
            mistake(
                new DiskCommand(), "convert", path("a.ova"), path("x"), "--member", "other.img"))
        .isEqualTo("anillo: " + path("a.ova") + " has no disk \"other.img\"; it holds one.img");
    byte[] whole = Files.readAllBytes(folder.resolve("a.ova"));
    Files.write(folder.resolve("cut.ova"), java.util.Arrays.copyOf(whole, 100_000));
    assertThat(mistake(new DiskCommand(), "convert", path("cut.ova"), path("x")))
        .startsWith("anillo: " + path("cut.ova") + " is a damaged archive: ");
    assertThat(folder.resolve("x")).doesNotExist();
  }

  @Test
  void aServerThatCannotListen() throws IOException {
    Files.write(folder.resolve("disk.raw"), new byte[1 << 20]);
    assertThat(
            mistake(
                new DiskCommand(), "serve", path("disk.raw"), "--listen", "no-such-host.invalid"))
        .isEqualTo("anillo: cannot listen on no-such-host.invalid: no such host");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(folder.resolve("disk.raw"));
    }
  }
}
