package io.anillo.storage.image;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.block.ReadOnlyDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.foreign.ForeignImages;
import io.anillo.storage.foreign.OvaAppliance;
import io.anillo.storage.nbd.NbdAddress;
import io.anillo.storage.nbd.NbdClient;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Info;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Opens image files, with the chain of backing files that they name. */
public final class Images {
  private static final int MAX_DEPTH = 64;
  private static final Duration NBD_PATIENCE = Duration.ofMinutes(1);

  private Images() {}

  /**
   * How to open.
   *
   * @param format the format, or empty to recognise it
   * @param direct past the host's page cache
   * @param withBacking whether to open what it builds on
   * @param snapshot an internal snapshot to open instead of the present, read-only; of an appliance
   *     the disk to open
   */
  public record Options(
      Optional<ImageFormat> format,
      boolean readOnly,
      boolean direct,
      boolean withBacking,
      Optional<String> snapshot) {
    public static final Options READ_ONLY =
        new Options(Optional.empty(), true, false, true, Optional.empty());
    public static final Options READ_WRITE =
        new Options(Optional.empty(), false, false, true, Optional.empty());

    public Options as(Optional<ImageFormat> wanted) {
      return new Options(wanted, readOnly, direct, withBacking, snapshot);
    }

    public Options alone() {
      return new Options(format, readOnly, direct, false, snapshot);
    }

    public Options atSnapshot(Optional<String> name) {
      return new Options(format, readOnly || name.isPresent(), direct, withBacking, name);
    }

    FileDisk.Mode mode() {
      if (direct) {
        return readOnly ? FileDisk.Mode.READ_ONLY_DIRECT : FileDisk.Mode.READ_WRITE_DIRECT;
      }
      return readOnly ? FileDisk.Mode.READ_ONLY : FileDisk.Mode.READ_WRITE;
    }
  }

  /** Opens a file by its path, or an export by its NBD address. */
  public static BlockDevice open(String location, Options options) throws IOException {
    if (!NbdAddress.recognises(location)) {
      return open(pathOf(location), options);
    }
    NbdClient client = NbdClient.connect(NbdAddress.parse(location), NBD_PATIENCE);
    ImageFormat format = options.format.orElse(ImageFormat.RAW);
    if (format != ImageFormat.RAW) {
      client.close();
      throw new IOException(location + ": over NBD only the format raw is read");
    }
    return options.readOnly ? new ReadOnlyDevice(client) : client;
  }

  private static Path pathOf(String text) throws IOException {
    try {
      return Path.of(text);
    } catch (java.nio.file.InvalidPathException invalid) {
      throw new IOException("\"" + text + "\" is no valid file name", invalid);
    }
  }

  public static BlockDevice open(Path path, Options options) throws IOException {
    return open(path, options, new HashSet<>());
  }

  private static BlockDevice open(Path path, Options options, Set<Path> chain) throws IOException {
    Disk disk = FileDisk.open(path, options.mode());
    try {
      if (!chain.add(path.toRealPath()) || chain.size() > MAX_DEPTH) {
        throw new IOException(
            path + " is part of a chain of backing files that is a loop or longer than 64");
      }
      ImageFormat format =
          options.format.isPresent() ? options.format.get() : ImageFormat.probe(disk);
      return switch (format) {
        case RAW -> new RawImage(disk);
        case QCOW2 -> openQcow2(path, disk, options, chain);
        case VDI, VHD, VHDX, VMDK -> {
          if (!options.readOnly) {
            throw new IOException(
                "%s is a %s image, which can only be read; convert it first"
                    .formatted(path, format.label()));
          }
          yield ForeignImages.open(format, path, disk, parent -> openParent(path, parent, chain));
        }
        case OVA -> {
          if (!options.readOnly) {
            throw new IOException(path + " is an appliance, which can only be read: convert it");
          }
          disk.close();
          yield openMember(path, options);
        }
      };
    } catch (IOException | RuntimeException failure) {
      disk.close();
      throw failure;
    }
  }

  private static BlockDevice openMember(Path path, Options options) throws IOException {
    Disk member = OvaAppliance.read(path).open(options.snapshot.orElse(""));
    try {
      ImageFormat format = ImageFormat.probe(member);
      return switch (format) {
        case RAW -> new RawImage(member);
        case VDI, VHD, VHDX, VMDK ->
            ForeignImages.open(
                format,
                path,
                member,
                parent -> {
                  throw new IOException(member.name() + " builds on another image");
                });
        case QCOW2 -> {
          if (Qcow2Image.info(member).backingFile() != null) {
            throw new IOException(member.name() + " builds on another image");
          }
          yield Qcow2Image.open(member, null);
        }
        case OVA -> throw new IOException(member.name() + " is an appliance inside an appliance");
      };
    } catch (IOException | RuntimeException failure) {
      member.close();
      throw failure;
    }
  }

  private static BlockDevice openParent(Path child, String parent, Set<Path> chain)
      throws IOException {
    return open(resolve(child, parent), Options.READ_ONLY, chain);
  }

  private static BlockDevice openQcow2(Path path, Disk disk, Options options, Set<Path> chain)
      throws IOException {
    Qcow2Info info = Qcow2Image.info(disk);
    BlockDevice backing = null;
    String backingFile = info.backingFile();
    if (backingFile != null && options.withBacking) {
      backing = openBacking(path, backingFile, info.backingFormat(), chain);
    }
    try {
      return options.snapshot.isPresent()
          ? Qcow2Image.openSnapshot(disk, options.snapshot.get(), backing)
          : Qcow2Image.open(disk, backing);
    } catch (IOException | RuntimeException failure) {
      if (backing != null) {
        backing.close();
      }
      throw failure;
    }
  }

  private static BlockDevice openBacking(
      Path overlay, String name, @Nullable String format, Set<Path> chain) throws IOException {
    Optional<ImageFormat> known =
        format == null ? Optional.empty() : Optional.of(ImageFormat.of(format));
    try {
      return open(resolve(overlay, name), Options.READ_ONLY.as(known), chain);
    } catch (IOException failure) {
      throw new IOException(
          "the backing file of " + overlay + " cannot be opened: " + failure.getMessage(), failure);
    }
  }

  /**
   * Lets a qcow2 image build on another file, or on nothing, without a change to what it reads as.
   */
  public static void rebase(
      Path path, Optional<String> newBase, Optional<ImageFormat> newFormat, LongConsumer progress)
      throws IOException {
    Optional<BlockDevice> before = Optional.empty();
    BlockDevice after = null;
    Disk disk = FileDisk.open(path, FileDisk.Mode.READ_WRITE);
    try {
      Qcow2Info info = Qcow2Image.info(disk);
      String oldName = info.backingFile();
      if (oldName != null) {
        before = Optional.of(openBacking(path, oldName, info.backingFormat(), new HashSet<>()));
      }
      String format = null;
      if (newBase.isPresent()) {
        Path resolved = resolve(path, newBase.get());
        ImageFormat known;
        try (Disk base = FileDisk.open(resolved, FileDisk.Mode.READ_ONLY)) {
          known = newFormat.isPresent() ? newFormat.get() : ImageFormat.probe(base);
        }
        format = known.label();
        after = open(resolved, Options.READ_ONLY.as(Optional.of(known)));
      }
      Qcow2Image overlay = Qcow2Image.open(disk, after);
      ImageCopy.adopt(overlay, before, Optional.ofNullable(after), progress);
      overlay.setBacking(newBase.orElse(null), format);
      overlay.close();
    } finally {
      disk.close();
      if (before.isPresent()) {
        before.get().close();
      }
      if (after != null) {
        after.close();
      }
    }
  }

  /** A backing file's name as its overlay means it: relative to the overlay's own place. */
  public static Path resolve(Path overlay, String name) throws IOException {
    String plain = name.startsWith("file:") ? name.substring("file:".length()) : name;
    if (plain.startsWith("json:") || plain.matches("[a-z+]{2,}:.*")) {
      throw new IOException("\"" + name + "\" is not a file; only files are followed");
    }
    try {
      return overlay.toAbsolutePath().resolveSibling(plain);
    } catch (java.nio.file.InvalidPathException invalid) {
      throw new IOException("\"" + name + "\" is no valid file name", invalid);
    }
  }
}
