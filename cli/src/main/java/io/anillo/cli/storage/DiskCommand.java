package io.anillo.cli.storage;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.Extent;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.foreign.OvaAppliance;
import io.anillo.storage.image.ImageCopy;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.storage.nbd.NbdAddress;
import io.anillo.storage.qcow2.Qcow2Check;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Info;
import io.anillo.storage.qcow2.Qcow2Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo disk}: image files. */
@Command(
    name = "disk",
    description = "Makes, looks at, changes and serves disk images.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DiskCommand.Info.class,
      DiskCommand.Create.class,
      DiskCommand.Check.class,
      DiskCommand.Convert.class,
      DiskCommand.Compare.class,
      DiskCommand.Resize.class,
      DiskCommand.Map.class,
      DiskCommand.Snapshot.class,
      DiskCommand.Commit.class,
      DiskCommand.Rebase.class,
      ServeCommand.class
    })
public final class DiskCommand extends StorageCommand.Family {

  /** The layout of a qcow2 image to be made. */
  static final class Layout {
    @Option(
        names = "--cluster-size",
        paramLabel = "SIZE",
        converter = StorageCommand.SizeConverter.class,
        description = "qcow2 cluster, 512 to 2M (default: 64K).")
    long clusterBytes = 65536;

    @Option(names = "--lazy-refcounts", description = "Fewer writes, longer start after a crash.")
    boolean lazy;

    @Option(names = "--extended-l2", description = "32 subclusters in a cluster.")
    boolean extended;

    @Option(names = "--zstd", description = "Compress with zstd instead of zlib.")
    boolean zstd;

    Qcow2Options options() throws IOException {
      if (clusterBytes > 2 << 20) {
        throw new IOException("the cluster size must be a power of two from 512 to 2M");
      }
      return new Qcow2Options(3, (int) clusterBytes, 16, lazy, extended, zstd, null, null);
    }
  }

  /** {@code anillo disk info}. */
  @Command(name = "info", description = "Says what an image is.", mixinStandardHelpOptions = true)
  static final class Info extends StorageCommand {
    @Parameters(paramLabel = "FILE")
    @Nullable Path file;

    @Override
    int run() throws IOException {
      Path path = given(file);
      ImageFormat format;
      Optional<Qcow2Info> qcow2 = Optional.empty();
      long fileBytes;
      try (FileDisk disk = FileDisk.open(path, FileDisk.Mode.READ_ONLY)) {
        format = ImageFormat.probe(disk);
        fileBytes = disk.sizeBytes();
        if (format == ImageFormat.QCOW2) {
          qcow2 = Optional.of(Qcow2Image.info(disk));
        }
      }
      System.out.println("file:      " + path);
      System.out.println("format:    " + format.label());
      if (qcow2.isPresent()) {
        print(qcow2.get());
      } else if (format == ImageFormat.OVA) {
        for (OvaAppliance.Member member : OvaAppliance.read(path).disks()) {
          System.out.println(
              "disk:      %s (%s)".formatted(member.name(), size(member.sizeBytes())));
        }
      } else {
        try (BlockDevice device = Images.open(path, Images.Options.READ_ONLY)) {
          System.out.println("size:      " + size(device.sizeBytes()));
        }
      }
      System.out.println("file size: " + size(fileBytes));
      return 0;
    }

    private static void print(Qcow2Info info) {
      System.out.println("size:      " + size(info.sizeBytes()));
      System.out.println("version:   " + info.version());
      System.out.println("cluster:   " + size(info.clusterBytes()));
      System.out.println(
          "features:  %s, %d-bit counts%s%s"
              .formatted(
                  info.zstd() ? "zstd" : "zlib",
                  info.refcountBits(),
                  info.lazyRefcounts() ? ", lazy refcounts" : "",
                  info.extendedL2() ? ", extended L2" : ""));
      if (info.backingFile() != null) {
        System.out.println("backing:   " + info.backingFile());
      }
      if (!info.cleanShutdown() || info.corrupt()) {
        System.out.println(
            "state:     " + (info.corrupt() ? "marked corrupt" : "not shut down cleanly"));
      }
      for (Qcow2Info.Snapshot snapshot : info.snapshots()) {
        System.out.println(
            "snapshot:  %s \"%s\" of %s, %s"
                .formatted(
                    snapshot.id(),
                    snapshot.name(),
                    Instant.ofEpochSecond(snapshot.takenSeconds()),
                    size(snapshot.diskBytes())));
      }
    }
  }

  /** {@code anillo disk create}. */
  @Command(name = "create", description = "Makes an empty image.", mixinStandardHelpOptions = true)
  static final class Create extends StorageCommand {
    @Parameters(index = "0", paramLabel = "FILE")
    @Nullable Path file;

    @Parameters(
        index = "1",
        paramLabel = "SIZE",
        arity = "0..1",
        converter = SizeConverter.class,
        description = "Such as 20G; the backing file's by default.")
    @Nullable Long bytes;

    @Option(names = "--format", paramLabel = "FORMAT", description = "qcow2 (default) or raw.")
    String format = "qcow2";

    @Option(names = "--backing", paramLabel = "FILE", description = "What it builds on.")
    @Nullable String backing;

    @Mixin Layout layout = new Layout();

    @Override
    int run() throws IOException {
      Path path = given(file);
      Qcow2Options options = layout.options();
      Long wanted = bytes;
      if (backing != null) {
        Path base = Images.resolve(path, backing);
        try (FileDisk disk = FileDisk.open(base, FileDisk.Mode.READ_ONLY)) {
          options = options.withBacking(backing, ImageFormat.probe(disk).label());
        }
        if (wanted == null) {
          try (BlockDevice below = Images.open(base, Images.Options.READ_ONLY)) {
            wanted = below.sizeBytes();
          }
        }
      }
      if (wanted == null) {
        throw new IOException("a size is needed, such as 20G");
      }
      switch (formatOf(format)) {
        case RAW -> FileDisk.create(path, wanted).close();
        case QCOW2 -> {
          try (FileDisk disk = FileDisk.create(path, 0)) {
            Qcow2Creator.create(disk, wanted, options);
          }
        }
        case VDI, VHD, VHDX, VMDK, OVA ->
            throw new IOException("the format " + format + " can be read, not made");
      }
      return 0;
    }
  }

  /** {@code anillo disk check}. */
  @Command(
      name = "check",
      description = "Checks a qcow2 image; ends with 2 if it is damaged, 3 if space leaks.",
      mixinStandardHelpOptions = true)
  static final class Check extends StorageCommand {
    @Parameters(paramLabel = "FILE")
    @Nullable Path file;

    @Option(names = "--repair", paramLabel = "WHAT", description = "leaks or all.")
    String repair = "nothing";

    @Override
    int run() throws IOException {
      Qcow2Check.Repair wanted =
          switch (repair) {
            case "nothing" -> Qcow2Check.Repair.NOTHING;
            case "leaks" -> Qcow2Check.Repair.LEAKS;
            case "all" -> Qcow2Check.Repair.ALL;
            default -> throw new IOException("--repair takes leaks or all, not " + repair);
          };
      FileDisk.Mode mode =
          wanted == Qcow2Check.Repair.NOTHING ? FileDisk.Mode.READ_ONLY : FileDisk.Mode.READ_WRITE;
      try (FileDisk disk = FileDisk.open(given(file), mode)) {
        Qcow2Check.Result result = Qcow2Check.run(disk, wanted);
        result.messages().forEach(System.out::println);
        System.out.println(
            "%d of %d clusters in use, %d damaged, %d leaked, %d repaired"
                .formatted(
                    result.allocatedClusters(),
                    result.totalClusters(),
                    result.corruptions(),
                    result.leaks(),
                    result.repaired()));
        return result.corruptions() > 0 ? 2 : result.leaks() > 0 ? 3 : 0;
      }
    }
  }

  /** {@code anillo disk convert}. */
  @Command(
      name = "convert",
      description = "Copies an image into another format.",
      mixinStandardHelpOptions = true)
  static final class Convert extends StorageCommand {
    @Parameters(index = "0", paramLabel = "SOURCE", description = "A file or an NBD address.")
    @Nullable String source;

    @Parameters(
        index = "1",
        paramLabel = "TARGET",
        description =
            "A file that does not exist, or the NBD address of an export that reads as" + " zeros.")
    @Nullable String target;

    @Option(names = "--from", paramLabel = "FORMAT", description = "Of the source, if not plain.")
    @Nullable String from;

    @Option(names = "--format", paramLabel = "FORMAT", description = "qcow2 (default) or raw.")
    String format = "qcow2";

    @Option(
        names = {"--snapshot", "--member"},
        paramLabel = "NAME",
        description = "Copy this snapshot of a qcow2 image, or this disk of an appliance (OVA).")
    @Nullable String snapshot;

    @Option(names = "--compress", description = "Compress the clusters of a qcow2 target.")
    boolean compress;

    @Mixin Layout layout = new Layout();

    @Override
    int run() throws IOException {
      Images.Options reading = options(false, from).atSnapshot(Optional.ofNullable(snapshot));
      try (BlockDevice input = Images.open(given(source), reading)) {
        if (NbdAddress.recognises(given(target))) {
          toServer(input, given(target));
        } else {
          toFile(input, Path.of(given(target)));
        }
      }
      return 0;
    }

    private static void toServer(BlockDevice input, String address) throws IOException {
      try (BlockDevice device = Images.open(address, Images.Options.READ_WRITE)) {
        if (device.sizeBytes() < input.sizeBytes()) {
          throw new IOException(
              "the source of %s does not fit the export of %s"
                  .formatted(size(input.sizeBytes()), size(device.sizeBytes())));
        }
        device.writeZeroes(0, device.sizeBytes(), true);
        ImageCopy.copy(input, device, at -> {});
        device.flush();
      }
    }

    private void toFile(BlockDevice input, Path output) throws IOException {
      long bytes = (input.sizeBytes() + 511) & -512;
      boolean qcow2 = formatOf(format) == ImageFormat.QCOW2;
      if (!qcow2 && formatOf(format) != ImageFormat.RAW) {
        throw new IOException("the format " + format + " can be read, not made");
      }
      try (FileDisk disk = FileDisk.create(output, qcow2 ? 0 : bytes)) {
        if (qcow2) {
          Qcow2Creator.create(disk, bytes, layout.options());
        }
      }
      boolean done = false;
      try (BlockDevice device = Images.open(output, options(true, qcow2 ? "qcow2" : "raw"))) {
        if (compress && device instanceof Qcow2Image image) {
          ImageCopy.copyCompressed(input, image, at -> {});
        } else {
          ImageCopy.copy(input, device, at -> {});
        }
        device.flush();
        done = true;
      } finally {
        if (!done) {
          Files.deleteIfExists(output);
        }
      }
    }
  }

  /** {@code anillo disk compare}. */
  @Command(
      name = "compare",
      description = "Says whether two images hold the same; ends with 1 if not.",
      mixinStandardHelpOptions = true)
  static final class Compare extends StorageCommand {
    @Parameters(index = "0", paramLabel = "ONE", description = "A file or an NBD address.")
    @Nullable String one;

    @Parameters(index = "1", paramLabel = "OTHER")
    @Nullable String other;

    @Override
    int run() throws IOException {
      try (BlockDevice first = Images.open(given(one), Images.Options.READ_ONLY);
          BlockDevice second = Images.open(given(other), Images.Options.READ_ONLY)) {
        long at = ImageCopy.firstDifference(first, second);
        System.out.println(at < 0 ? "The images are the same." : "They differ at byte " + at + ".");
        return at < 0 ? 0 : 1;
      }
    }
  }

  /** {@code anillo disk resize}. */
  @Command(
      name = "resize",
      description = "Changes the size of an image.",
      mixinStandardHelpOptions = true)
  static final class Resize extends StorageCommand {
    @Parameters(index = "0", paramLabel = "FILE", description = "A file or an NBD address.")
    @Nullable String file;

    @Parameters(index = "1", paramLabel = "SIZE", converter = SizeConverter.class)
    @Nullable Long bytes;

    @Option(names = "--format", paramLabel = "FORMAT", description = "Of the image, if not plain.")
    @Nullable String format;

    @Option(names = "--shrink", description = "Needed to cut something off.")
    boolean shrink;

    @Override
    int run() throws IOException {
      try (BlockDevice device = Images.open(given(file), options(true, format))) {
        long wanted = given(bytes);
        if (wanted < device.sizeBytes() && !shrink) {
          throw new IOException(
              "this would cut off %s; say --shrink if that is meant"
                  .formatted(size(device.sizeBytes() - wanted)));
        }
        device.resize(wanted);
        device.flush();
      }
      return 0;
    }
  }

  /** {@code anillo disk map}. */
  @Command(
      name = "map",
      description = "Shows where an image holds data.",
      mixinStandardHelpOptions = true)
  static final class Map extends StorageCommand {
    @Parameters(paramLabel = "FILE", description = "A file or an NBD address.")
    @Nullable String file;

    @Override
    int run() throws IOException {
      try (BlockDevice device = Images.open(given(file), Images.Options.READ_ONLY)) {
        for (long at = 0; at < device.sizeBytes(); ) {
          Extent extent = device.status(at, device.sizeBytes() - at);
          System.out.println(
              String.format(
                  Locale.ROOT,
                  "%16d %16d  %s",
                  at,
                  extent.lengthBytes(),
                  extent.zero() ? extent.hole() ? "hole" : "zero" : "data"));
          at += extent.lengthBytes();
        }
      }
      return 0;
    }
  }

  /** {@code anillo disk snapshot}. */
  @Command(
      name = "snapshot",
      description = "Takes, restores or deletes a snapshot inside a qcow2 image.",
      mixinStandardHelpOptions = true)
  static final class Snapshot extends StorageCommand {
    @Parameters(index = "0", paramLabel = "ACTION", description = "create, restore or delete.")
    @Nullable String action;

    @Parameters(index = "1", paramLabel = "FILE")
    @Nullable Path file;

    @Parameters(index = "2", paramLabel = "NAME")
    @Nullable String name;

    @Override
    int run() throws IOException {
      try (BlockDevice device = Images.open(given(file), Images.Options.READ_WRITE)) {
        if (!(device instanceof Qcow2Image image)) {
          throw new IOException(file + " is no qcow2 image; only those hold snapshots");
        }
        switch (given(action)) {
          case "create" -> image.snapshots().create(given(name));
          case "restore" -> image.snapshots().restore(given(name));
          case "delete" -> image.snapshots().delete(given(name));
          default -> throw new IOException("create, restore or delete; not " + action);
        }
      }
      return 0;
    }
  }

  /** {@code anillo disk commit}. */
  @Command(
      name = "commit",
      description = "Writes what an overlay holds into the file it builds on.",
      mixinStandardHelpOptions = true)
  static final class Commit extends StorageCommand {
    @Parameters(paramLabel = "FILE")
    @Nullable Path file;

    @Override
    int run() throws IOException {
      Path path = given(file);
      try (BlockDevice device = Images.open(path, Images.Options.READ_ONLY.alone())) {
        if (!(device instanceof Qcow2Image overlay) || overlay.info().backingFile() == null) {
          throw new IOException(path + " builds on no other file");
        }
        Qcow2Info info = overlay.info();
        Path base = Images.resolve(path, given(info.backingFile()));
        try (BlockDevice below = Images.open(base, options(true, info.backingFormat()))) {
          ImageCopy.commit(overlay, below, at -> {});
        }
      }
      return 0;
    }
  }

  /** {@code anillo disk rebase}. */
  @Command(
      name = "rebase",
      description = "Lets an overlay build on another file, reading the same as before.",
      mixinStandardHelpOptions = true)
  static final class Rebase extends StorageCommand {
    @Parameters(index = "0", paramLabel = "FILE")
    @Nullable Path file;

    @Parameters(
        index = "1",
        paramLabel = "BASE",
        arity = "0..1",
        description = "None: stand alone.")
    @Nullable String base;

    @Override
    int run() throws IOException {
      Images.rebase(given(file), Optional.ofNullable(base), Optional.empty(), at -> {});
      return 0;
    }
  }
}
