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
  static String mistake(Object family, String... words) {
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

  @Test
  void aPassphraseThatDoesNotFit() throws IOException {
    String right = Files.writeString(folder.resolve("right"), "open sesame\n").toString();
    String wrong = Files.writeString(folder.resolve("wrong"), "open barley\n").toString();
    String binary = Files.write(folder.resolve("binary"), new byte[] {(byte) 0xff}).toString();
    String[] create = {"create", "p", path("disk"), "--make-files", "32M"};
    assertThat(new CommandLine(new PoolCommand()).execute(create)).isZero();
    String disk = path("disk");
    assertThat(
            new CommandLine(new VolumeCommand())
                .execute("create", "-d", disk, "--passphrase-file", right, "secret", "8M"))
        .isZero();
    String image = Files.write(folder.resolve("image"), new byte[1 << 20]).toString();
    String[] imported = {"import", "-d", disk, image, "secret", "--passphrase-file"};
    assertThat(mistake(new VolumeCommand(), with(imported, wrong)))
        .isEqualTo("anillo: volume secret: the passphrase does not fit");
    assertThat(mistake(new VolumeCommand(), with(imported, binary)))
        .isEqualTo("anillo: " + binary + " holds no passphrase: it is not text in UTF-8");
    assertThat(mistake(new VolumeCommand(), "import", "-d", disk, image, "secret"))
        .isEqualTo("anillo: volume secret is encrypted: give its passphrase");
    assertThat(
            mistake(
                new DiskCommand(),
                "serve",
                "--pool",
                disk,
                "--socket",
                path("s"),
                "--passphrase-file",
                wrong))
        .isEqualTo("anillo: volume secret: the passphrase does not fit");
    assertThat(new CommandLine(new VolumeCommand()).execute(with(imported, right))).isZero();
  }

  private static String[] with(String[] words, String last) {
    return Stream.concat(Stream.of(words), Stream.of(last)).toArray(String[]::new);
  }

  @Test
  void limitsThatCannotBe() {
    String disk = path("disk");
    String[] create = {"create", "p", disk, "--make-files", "32M"};
    assertThat(new CommandLine(new PoolCommand()).execute(create)).isZero();
    assertThat(new CommandLine(new VolumeCommand()).execute("create", "-d", disk, "v", "8M"))
        .isZero();
    assertThat(mistake(new VolumeCommand(), "limit", "-d", disk, "v", "--iops", "-5"))
        .isEqualTo("anillo: a limit is 0 (none) or more, not -5");
    assertThat(mistake(new DiskCommand(), "serve", disk, "--port", "99999"))
        .isEqualTo("anillo: --port takes 0 to 65535, not 99999");
  }
}
