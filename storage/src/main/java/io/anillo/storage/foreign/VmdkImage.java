package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.foreign.ForeignImages.ParentOpener;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A VMDK: its extents one after the other, flat or sparse, over a parent if it has one. */
final class VmdkImage extends MappedImage {
  private static final int SECTOR = 512;
  private static final int MAX_DESCRIPTOR_BYTES = 1 << 20;

  private final List<Part> parts;
  private final @Nullable BlockDevice parent;

  /** A part of the disk. */
  private sealed interface Part {
    long start();

    long lengthBytes();

    record Flat(long start, long lengthBytes, Disk disk, long offset) implements Part {}

    record Sparse(long start, long lengthBytes, VmdkExtent extent) implements Part {}

    record Zero(long start, long lengthBytes) implements Part {}
  }

  private VmdkImage(long sizeBytes, List<Part> parts, @Nullable BlockDevice parent) {
    super(sizeBytes);
    this.parts = parts;
    this.parent = parent;
  }

  static VmdkImage open(Path path, Disk disk, ParentOpener parents) throws IOException {
    ByteBuffer magic = ByteBuffer.allocate((int) Math.min(4, disk.sizeBytes()));
    disk.read(0, magic);
    if (!new String(magic.array(), StandardCharsets.US_ASCII).equals("KDMV")) {
      return openDescribed(path, disk, parents);
    }
    VmdkExtent extent = new VmdkExtent(disk);
    VmdkDescriptor descriptor = VmdkDescriptor.parse(disk.name(), extent.descriptor());
    BlockDevice parent = openParent(descriptor.parent(), parents);
    Part whole = new Part.Sparse(0, extent.capacityBytes(), extent);
    VmdkImage image = new VmdkImage(extent.capacityBytes(), List.of(whole), parent);
    if (parent != null) {
      image.own(parent);
    }
    image.own(disk);
    return image;
  }

  private static @Nullable BlockDevice openParent(Optional<String> name, ParentOpener parents)
      throws IOException {
    return name.isPresent() ? parents.open(name.get()) : null;
  }

  private static VmdkImage openDescribed(Path path, Disk disk, ParentOpener parents)
      throws IOException {
    if (disk.sizeBytes() > MAX_DESCRIPTOR_BYTES) {
      throw damaged(disk, "a descriptor of " + disk.sizeBytes() + " bytes");
    }
    ByteBuffer text = ByteBuffer.allocate((int) disk.sizeBytes());
    disk.read(0, text);
    VmdkDescriptor descriptor =
        VmdkDescriptor.parse(disk.name(), new String(text.array(), StandardCharsets.UTF_8));
    if (descriptor.extents().isEmpty()) {
      throw damaged(disk, "its descriptor names no extents");
    }
    List<AutoCloseable> opened = new ArrayList<>();
    boolean done = false;
    try {
      List<Part> parts = new ArrayList<>();
      long at = 0;
      for (VmdkDescriptor.ExtentLine line : descriptor.extents()) {
        if (line.sectors() <= 0 || line.sectors() > (1L << 42) - at / SECTOR) {
          throw damaged(disk, "an extent of " + line.sectors() + " sectors");
        }
        Part part = part(path, line, at, opened);
        parts.add(part);
        at += part.lengthBytes();
      }
      BlockDevice parent = openParent(descriptor.parent(), parents);
      VmdkImage image = new VmdkImage(at, List.copyOf(parts), parent);
      opened.forEach(image::own);
      if (parent != null) {
        image.own(parent);
      }
      image.own(disk);
      done = true;
      return image;
    } finally {
      for (AutoCloseable part : done ? List.<AutoCloseable>of() : opened) {
        ((Disk) part).close();
      }
    }
  }

  private static Part part(
      Path path, VmdkDescriptor.ExtentLine line, long at, List<AutoCloseable> opened)
      throws IOException {
    long length = line.sectors() * SECTOR;
    return switch (line.kind()) {
      case "ZERO" -> new Part.Zero(at, length);
      case "FLAT", "VMFS" -> {
        Disk file = openExtent(path, line.file());
        opened.add(file);
        if (line.offset() > (1L << 42)) {
          throw damaged(file, "an extent that begins at sector " + line.offset());
        }
        yield new Part.Flat(at, length, file, line.offset() * SECTOR);
      }
      case "SPARSE" -> {
        Disk file = openExtent(path, line.file());
        opened.add(file);
        VmdkExtent extent = new VmdkExtent(file);
        if (extent.capacityBytes() < length) {
          throw damaged(file, "it is smaller than its descriptor says");
        }
        yield new Part.Sparse(at, length, extent);
      }
      default ->
          throw new IOException(
              path + " has an extent of kind " + line.kind() + ", which cannot be read");
    };
  }

  /** Opens a file beside the descriptor: a foreign text may not name any other. */
  private static Disk openExtent(Path path, String file) throws IOException {
    if (file.isEmpty() || file.contains("/") || file.contains("\\") || file.startsWith("..")) {
      throw new IOException(
          path + " names the extent \"" + file + "\"; only files in its own folder are opened");
    }
    return FileDisk.open(path.toAbsolutePath().resolveSibling(file), FileDisk.Mode.READ_ONLY);
  }

  @Override
  Run find(long offset, long length) throws IOException {
    int low = 0;
    int high = parts.size() - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (parts.get(middle).start() <= offset) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    Part part = parts.get(low);
    long within = offset - part.start();
    long left = part.lengthBytes() - within;
    return switch (part) {
      case Part.Zero zero -> new Run.Zeros(left);
      case Part.Flat flat -> new Run.Stored(left, flat.disk(), flat.offset() + within);
      case Part.Sparse sparse -> {
        Run run = sparse.extent().find(within);
        if (run != null) {
          yield run;
        }
        long step = Math.min(left, sparse.extent().toGrainEnd(within));
        BlockDevice below = parent;
        yield below == null ? new Run.Zeros(step) : new Run.Inherited(step, below, offset);
      }
    };
  }
}
