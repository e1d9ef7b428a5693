package io.anillo.cli.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A complete Debian 12 with systemd on an ext4 disk, made by Debian's own tools; user {@code root},
 * password {@code anillo}, a login on the first serial line. Its kernel and initial RAM disk lie
 * beside it, to be booted directly.
 *
 * @param disk a raw image; what the guest writes stays in it
 */
public record DebianDisk(Path kernel, Path initialRamDisk, Path disk) {
  private static final String NAME = "debian-12-2";
  private static final String SUITE = "bookworm";
  private static final String DISK_SIZE = "4G";

  /** Built once more whenever the list changes: the cache's name counts up then. */
  private static final List<String> PACKAGES =
      List.of(
          "apt",
          "dbus",
          "e2fsprogs",
          "initramfs-tools",
          "iproute2",
          "iputils-ping",
          "kmod",
          "less",
          "linux-image-cloud-amd64",
          "login",
          "lz4",
          "procps",
          "python3-minimal",
          "systemd-sysv",
          "udev");

  /** The kernel's command line for this disk. */
  public static final String COMMAND_LINE = "root=/dev/vda rw console=ttyS0 quiet";

  /** The disk, built now when it is not there. */
  public static DebianDisk get(GuestCache cache, boolean again, Progress progress)
      throws ImageException {
    Path directory =
        cache.get(
            NAME,
            again,
            work -> {
              try {
                build(work, progress);
              } finally {
                progress.finished();
              }
            });
    return new DebianDisk(
        directory.resolve("kernel"), directory.resolve("initrd"), directory.resolve("disk.img"));
  }

  /**
   * The command that makes its followers root of a user namespace; empty for who is root already.
   */
  private static List<String> asRoot() throws ImageException {
    if (System.getProperty("user.name").equals("root")) {
      return List.of();
    }
    if (!HostCommand.exists("unshare") || !HostCommand.exists("newuidmap")) {
      throw new ImageException(
          "Building a disk as an ordinary user needs user namespaces; please install the packages"
              + " util-linux and uidmap, or run this command as root.");
    }
    return List.of("unshare", "--map-auto", "--map-root-user", "--");
  }

  private static void build(Path work, Progress progress) throws ImageException, IOException {
    for (String tool : List.of("mmdebstrap", "mke2fs", "tar")) {
      if (!HostCommand.exists(tool)) {
        throw new ImageException(
            tool
                + " is missing; please install the packages mmdebstrap and e2fsprogs (on Debian,"
                + " tools/install-test-peers does).");
      }
    }
    List<String> asRoot = asRoot();
    Path archive = work.resolve("root.tar");
    debootstrap(work, archive, progress);

    Path script = work.resolve("make-disk.sh");
    Files.writeString(script, Resources.text("make-disk.sh"));
    List<String> command = new ArrayList<>(asRoot);
    command.addAll(
        List.of("sh", script.toString(), archive.toString(), work.toString(), DISK_SIZE));
    long begin = System.nanoTime();
    HostCommand.Result made =
        HostCommand.run(
            work,
            command,
            Map.of(),
            errors -> progress.report("writing the disk", seconds(begin), 0));
    if (made.status() != 0) {
      throw new ImageException("The disk could not be made: " + made.excerpt());
    }
    Files.delete(script);
    Files.delete(archive);
    for (String file : List.of("kernel", "initrd", "disk.img")) {
      Files.setPosixFilePermissions(
          work.resolve(file), PosixFilePermissions.fromString("rw-r--r--"));
    }
  }

  private static void debootstrap(Path work, Path archive, Progress progress)
      throws ImageException, IOException {
    Path early = hook(work, "debian-early.sh");
    Path late = hook(work, "debian-late.sh");
    List<String> command =
        List.of(
            "mmdebstrap",
            "--variant=minbase",
            "--include=" + String.join(",", PACKAGES),
            "--essential-hook=" + early,
            "--customize-hook=" + late,
            SUITE,
            archive.toString());
    long begin = System.nanoTime();
    HostCommand.Result result =
        HostCommand.run(
            work,
            command,
            Map.of(),
            errors -> progress.report(lastStep(errors), seconds(begin), 0));
    if (result.status() != 0) {
      throw new ImageException("mmdebstrap could not install Debian: " + result.excerpt());
    }
    Files.delete(early);
    Files.delete(late);
  }

  private static Path hook(Path work, String name) throws IOException {
    Path file = work.resolve(name);
    Files.writeString(file, "#!/bin/sh\nset -eu\n" + Resources.text(name));
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    return file;
  }

  private static long seconds(long begin) {
    return (System.nanoTime() - begin) / 1_000_000_000;
  }

  /** What mmdebstrap last said that it does. */
  private static String lastStep(Path errors) throws IOException {
    String step = "installing Debian";
    for (String line :
        Files.readString(errors, java.nio.charset.StandardCharsets.ISO_8859_1).split("\n")) {
      if (line.startsWith("I: ") && !line.contains("hook") && line.length() < 60) {
        step = line.substring(3).replace("...", "");
      }
    }
    return step;
  }
}
