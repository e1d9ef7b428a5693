package io.anillo.cli.image;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The guest that {@code anillo run} boots when it is given no kernel: Debian's cloud kernel and its
 * static busybox, both as Debian's packages contain them, with an init script of ours.
 *
 * @param kernel a bzImage
 * @param initialRamDisk a cpio archive; not compressed, since unpacking it would cost the guest
 *     more than reading it
 */
public record DefaultGuest(Path kernel, Path initialRamDisk) {

  /** Part of the cache's name: raised with every change to what is made of the packages. */
  private static final String NAME = "default-5";

  private static final String KERNEL_PACKAGE = "linux-image-cloud-amd64";
  private static final String KERNEL_PREFIX = "linux-image-";
  private static final String BUSYBOX_PACKAGE = "busybox-static";

  /** Loaded at boot, where the kernel has them as modules. */
  private static final List<String> LOADED =
      List.of(
          "virtio_pci",
          "virtio_blk",
          "virtio_net",
          "virtio_console",
          "virtio_rng",
          "virtio_balloon",
          "pvpanic_mmio");

  /** Loaded by the kernel when such a file system is mounted, or a raw socket opened. */
  private static final List<String> ON_DEMAND =
      List.of("ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "isofs", "af_packet");

  private static final Map<String, String> ALIASES =
      Map.of("fs-ext4", "ext4", "fs-vfat", "vfat", "fs-iso9660", "isofs", "net-pf-17", "af_packet");

  /** What is appended to the kernel's command line for this guest. */
  public static final String COMMAND_LINE = "console=ttyS0 quiet";

  /** The cached guest, prepared now when there is none. */
  public static DefaultGuest get(GuestCache cache, boolean again, Progress progress)
      throws ImageException {
    Path directory =
        cache.get(
            NAME,
            again,
            work -> {
              try {
                prepare(work, progress);
              } finally {
                progress.finished();
              }
            });
    return new DefaultGuest(directory.resolve("kernel"), directory.resolve("initrd"));
  }

  private static void prepare(Path work, Progress progress) throws ImageException, IOException {
    AptPackages.requireApt();
    progress.report("looking up packages", 0, 0);
    String kernelPackage = AptPackages.dependency(work, KERNEL_PACKAGE, KERNEL_PREFIX);
    List<AptPackages.PackageFile> packages =
        AptPackages.find(work, List.of(kernelPackage, BUSYBOX_PACKAGE));
    List<Path> files = AptPackages.download(work, packages, progress);

    Map<String, KernelModule> modules = new HashMap<>();
    List<String> versions = new ArrayList<>();
    List<ByteBuffer> programs = new ArrayList<>();
    Path kernel = work.resolve("kernel");
    DebianPackage.read(
        files.get(0),
        "unpacking the kernel",
        progress,
        (path, size, content) -> {
          if (path.startsWith("boot/vmlinuz-")) {
            versions.add(path.substring("boot/vmlinuz-".length()));
            Files.copy(content, kernel);
          } else if (path.contains("lib/modules/") && path.matches(".*\\.ko(\\.(xz|zst|gz))?")) {
            KernelModule module =
                KernelModule.parse(
                    path.replaceFirst("^.*?lib/modules/[^/]+/", "")
                        .replaceFirst("\\.(xz|zst|gz)$", ""),
                    DebianPackage.decompressed(path, content).readAllBytes());
            modules.put(module.name(), module);
          }
        });
    DebianPackage.read(
        files.get(1),
        "unpacking busybox",
        progress,
        (path, size, content) -> {
          if (path.endsWith("bin/busybox")) {
            programs.add(ByteBuffer.wrap(content.readAllBytes()));
          }
        });
    if (versions.size() != 1 || programs.size() != 1) {
      throw new ImageException(
          "The packages of the default guest are not built as expected: "
              + (versions.size() != 1
                  ? kernelPackage + " has not one kernel"
                  : BUSYBOX_PACKAGE + " has not one busybox")
              + ".");
    }
    progress.report("packing", 0, 0);
    writeInitialRamDisk(work.resolve("initrd"), versions.getFirst(), programs.getFirst(), modules);
    Files.writeString(
        work.resolve("packages"),
        packages.stream()
            .map(file -> file.sha256() + "  " + file.fileName() + "\n")
            .collect(Collectors.joining()));
    for (Path file : files) {
      Files.delete(file);
    }
  }

  private static void writeInitialRamDisk(
      Path file, String version, ByteBuffer busybox, Map<String, KernelModule> modules)
      throws IOException {
    List<KernelModule> loaded = KernelModule.closure(modules, LOADED);
    List<KernelModule> all =
        KernelModule.closure(modules, Stream.concat(LOADED.stream(), ON_DEMAND.stream()).toList());
    String root = "lib/modules/" + version + "/";
    try (InitramfsWriter out =
        new InitramfsWriter(new BufferedOutputStream(Files.newOutputStream(file), 1 << 16))) {
      for (String directory :
          List.of(
              "dev",
              "proc",
              "sys",
              "tmp",
              "run",
              "etc",
              "etc/udhcpc",
              "root",
              "mnt",
              "sbin",
              "usr/bin",
              "usr/sbin")) {
        out.directory(directory);
      }
      out.characterDevice("dev/console", 0600, 5, 1);
      out.characterDevice("dev/null", 0666, 1, 3);
      out.file("bin/busybox", 0755, busybox);
      out.symbolicLink("bin/sh", "busybox");
      out.symbolicLink("sbin/modprobe", "../bin/busybox");
      out.file("init", 0755, Resources.text("init"));
      out.file("etc/udhcpc/default.script", 0755, Resources.text("udhcpc.script"));
      out.file("etc/profile", 0644, Resources.text("profile"));
      out.file("etc/passwd", 0644, "root:x:0:0:root:/root:/bin/sh\n");
      out.file("etc/group", 0644, "root:x:0:\n");
      out.file("etc/hosts", 0644, "127.0.0.1 localhost anillo\n");
      for (KernelModule module : all) {
        out.file(root + module.path(), 0644, module.content());
      }
      out.file(
          root + "modules.dep",
          0644,
          all.stream()
              .map(module -> module.path() + ":" + dependencyPaths(modules, module) + "\n")
              .collect(Collectors.joining()));
      out.file(
          root + "modules.alias",
          0644,
          ALIASES.entrySet().stream()
              .sorted(Map.Entry.comparingByKey())
              .map(alias -> "alias " + alias.getKey() + " " + alias.getValue() + "\n")
              .collect(Collectors.joining()));
      out.file(
          "lib/modules/order",
          0644,
          loaded.stream()
              .map(module -> version + "/" + module.path() + "\n")
              .collect(Collectors.joining()));
    }
  }

  private static String dependencyPaths(Map<String, KernelModule> modules, KernelModule module) {
    // The nearest dependency comes first in modules.dep, and is loaded last.
    return KernelModule.closure(modules, List.of(module.name())).reversed().stream()
        .filter(dependency -> !dependency.equals(module))
        .map(dependency -> " " + dependency.path())
        .collect(Collectors.joining());
  }
}
