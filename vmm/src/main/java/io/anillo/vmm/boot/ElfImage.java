package io.anillo.vmm.boot;

import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * A little-endian ELF executable for x86, 32 or 64 bits wide (System V ABI, "Object Files").
 *
 * @param segments what is to be loaded, at physical addresses
 * @param entry the file's entry point
 * @param pvhEntry the 32-bit entry point that a Xen note names (xen/include/public/elfnote.h,
 *     PHYS32_ENTRY)
 */
record ElfImage(
    ImageReader image, boolean wide, List<Segment> segments, long entry, OptionalLong pvhEntry) {

  private static final int MACHINE_386 = 3, MACHINE_X86_64 = 62;
  private static final int SEGMENT_LOAD = 1, SEGMENT_NOTE = 4;
  private static final int NOTE_PHYS32_ENTRY = 18;

  /** Far more than any kernel has; bounds the work that a hostile image can ask for. */
  private static final int SEGMENTS_MAXIMUM = 256;

  private static final int NOTES_MAXIMUM_BYTES = 1 << 20;

  /** A part of the file and where it goes; what the file lacks is zeroed. */
  record Segment(long offset, long address, long fileBytes, long memoryBytes) {}

  static boolean recognises(ImageReader image) {
    return image.matches(0, "\177ELF");
  }

  static ElfImage parse(ImageReader image) throws BootException {
    int width = image.u8(4);
    if ((width != 1 && width != 2) || image.u8(5) != 1) {
      throw new BootException(
          "the kernel is an ELF file, but not a little-endian one of 32 or 64 bits");
    }
    int machine = image.u16(18);
    if (machine != MACHINE_386 && machine != MACHINE_X86_64) {
      throw new BootException(
          "the kernel is an ELF file for machine type " + machine + ", not for x86");
    }
    boolean wide = width == 2;
    long entry = wide ? image.i64(24) : image.u32(24);
    long table = wide ? image.i64(32) : image.u32(28);
    int entryBytes = image.u16(wide ? 54 : 42);
    int count = image.u16(wide ? 56 : 44);
    if (count > 0 && entryBytes < (wide ? 56 : 32)) {
      throw new BootException(
          "the kernel is a damaged ELF file: its program headers are "
              + entryBytes
              + " bytes long");
    }
    if (count > SEGMENTS_MAXIMUM) {
      throw new BootException(
          "the kernel is a damaged ELF file: it has " + count + " program headers");
    }
    List<Segment> segments = new ArrayList<>();
    OptionalLong pvhEntry = OptionalLong.empty();
    for (int i = 0; i < count; i++) {
      long header = table + (long) i * entryBytes;
      int type = image.i32(header);
      if (type != SEGMENT_LOAD && type != SEGMENT_NOTE) {
        continue;
      }
      Segment segment =
          wide
              ? new Segment(
                  image.i64(header + 8),
                  image.i64(header + 24),
                  image.i64(header + 32),
                  image.i64(header + 40))
              : new Segment(
                  image.u32(header + 4),
                  image.u32(header + 12),
                  image.u32(header + 16),
                  image.u32(header + 20));
      if (!image.contains(segment.offset(), segment.fileBytes())) {
        throw new BootException(
            "the kernel image is truncated or damaged: segment "
                + i
                + " lies outside of its "
                + image.size()
                + " bytes");
      }
      if (type == SEGMENT_NOTE) {
        long alignment = wide ? image.i64(header + 48) : image.u32(header + 28);
        if (pvhEntry.isEmpty() && segment.fileBytes() <= NOTES_MAXIMUM_BYTES) {
          pvhEntry = findPvhEntry(image, segment, alignment == 8 ? 8 : 4);
        }
      } else if (segment.memoryBytes() != 0) {
        if (segment.memoryBytes() < segment.fileBytes()) {
          throw new BootException(
              "the kernel is a damaged ELF file: segment "
                  + i
                  + " is smaller in memory than in the file");
        }
        segments.add(segment);
      }
    }
    return new ElfImage(image, wide, List.copyOf(segments), entry, pvhEntry);
  }

  private static OptionalLong findPvhEntry(ImageReader image, Segment notes, long alignment)
      throws BootException {
    long at = notes.offset();
    long end = notes.offset() + notes.fileBytes();
    while (at + 12 <= end) {
      long nameBytes = image.u32(at);
      long descriptionBytes = image.u32(at + 4);
      int type = image.i32(at + 8);
      long description = at + 12 + roundUp(nameBytes, alignment);
      if (alignment == 8) {
        // With 8-byte alignment the name's padding makes the description, not the name, aligned.
        description = at + roundUp(12 + nameBytes, alignment);
      }
      if (type == NOTE_PHYS32_ENTRY && nameBytes == 4 && image.matches(at + 12, "Xen\0")) {
        if (descriptionBytes < 4 || description + descriptionBytes > end) {
          throw new BootException("the kernel is a damaged ELF file: its PVH note is too short");
        }
        long entry = descriptionBytes >= 8 ? image.i64(description) : image.u32(description);
        if (entry < 0 || entry > 0xFFFF_FFFFL) {
          throw new BootException(
              "the kernel's PVH entry 0x" + Long.toHexString(entry) + " is not a 32-bit address");
        }
        return OptionalLong.of(entry);
      }
      at = description + roundUp(descriptionBytes, alignment);
    }
    return OptionalLong.empty();
  }

  /**
   * Copies the segments into memory.
   *
   * @return the address behind the highest byte used
   */
  long load(GuestMemory memory, MemoryMap map) throws BootException {
    if (segments.isEmpty()) {
      throw new BootException("the kernel is an ELF file with nothing to load");
    }
    long end = 0;
    for (Segment segment : segments) {
      requireLoadable(map, segment.address(), segment.memoryBytes());
      image.copyTo(memory, segment.address(), segment.offset(), segment.fileBytes());
      memory.fill(
          segment.address() + segment.fileBytes(),
          segment.memoryBytes() - segment.fileBytes(),
          (byte) 0);
      end = Math.max(end, segment.address() + segment.memoryBytes());
    }
    return end;
  }

  /** Refuses a range that is not usable memory, or where the loaders keep the boot parameters. */
  static void requireLoadable(MemoryMap map, long address, long bytes) throws BootException {
    if (!map.isUsable(address, bytes)) {
      throw new BootException(
          "the kernel wants to be loaded to 0x"
              + Long.toHexString(address)
              + " with "
              + Long.toUnsignedString(bytes)
              + " bytes, which is not all usable memory; the machine has "
              + map.usableBytes() / (1 << 20)
              + " MiB");
    }
    if (LowMemory.overlaps(address, bytes)) {
      throw new BootException(
          "the kernel wants to be loaded to 0x"
              + Long.toHexString(address)
              + ", where the boot parameters are put");
    }
  }

  private static long roundUp(long value, long alignment) {
    return value + alignment - 1 & -alignment;
  }
}
