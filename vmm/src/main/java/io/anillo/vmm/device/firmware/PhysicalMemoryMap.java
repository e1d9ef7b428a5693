package io.anillo.vmm.device.firmware;

import io.anillo.vmm.device.pci.PciWindows;
import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayList;
import java.util.List;

/**
 * Where things lie in guest-physical memory, for boot loaders and tables: RAM below 640 KiB, the
 * hole of the first PCs, RAM up to 3 GiB, the hole for devices, RAM from 4 GiB.
 */
public final class PhysicalMemoryMap {
  /**
   * The extended BIOS data area: the last KiB below 640 KiB; ACPI's root pointer is looked for
   * here, too.
   */
  public static final long EBDA = 0x9FC00;

  public static final long CONVENTIONAL_END = 0xA0000;

  /**
   * ACPI's root pointer lies here and its tables behind it, in the area of the first PCs' firmware.
   */
  public static final long ACPI_ROOT_POINTER = 0xE0000;

  public static final long ACPI_TABLES_END = 0xFFFF0;
  public static final long EXTENDED_START = 0x100000;

  /** Kinds of memory, as INT 15h, AX=E820h names them (ACPI 6.5 §15.2). */
  public enum Kind {
    RAM(1),
    RESERVED(2),
    ACPI_RECLAIMABLE(3);

    private final int e820Type;

    Kind(int e820Type) {
      this.e820Type = e820Type;
    }

    public int e820Type() {
      return e820Type;
    }
  }

  /** A part of the map. */
  public record Range(long base, long sizeBytes, Kind kind) {
    public long end() {
      return base + sizeBytes;
    }
  }

  private final long ramBytes;
  private final PciWindows windows;
  private final List<Range> ranges;

  public PhysicalMemoryMap(long ramBytes, PciWindows windows) {
    this.ramBytes = ramBytes;
    this.windows = windows;
    List<Range> list = new ArrayList<>();
    add(list, 0, Math.min(ramBytes, EBDA), Kind.RAM);
    add(list, EBDA, CONVENTIONAL_END, Kind.RESERVED);
    add(list, ACPI_ROOT_POINTER, EXTENDED_START, Kind.RESERVED);
    add(list, EXTENDED_START, lowRamEnd(), Kind.RAM);
    add(list, windows.ecamBase(), windows.ecamBase() + PciWindows.ECAM_BYTES, Kind.RESERVED);
    add(list, 0xFEC00000L, 0xFEC01000L, Kind.RESERVED);
    add(list, 0xFEE00000L, 0xFEE01000L, Kind.RESERVED);
    add(list, GuestMemory.FOUR_GIB, highRamEnd(), Kind.RAM);
    ranges = List.copyOf(list);
  }

  private static void add(List<Range> list, long base, long end, Kind kind) {
    if (end > base) {
      list.add(new Range(base, end - base, kind));
    }
  }

  /** The map in ascending order, without overlaps; what is not in it is the devices' or nothing. */
  public List<Range> ranges() {
    return ranges;
  }

  /** End of the RAM that begins at 0, holes included: at most 3 GiB. */
  public long lowRamEnd() {
    return Math.min(ramBytes, GuestMemory.HOLE_START);
  }

  /** End of the RAM that begins at 4 GiB; 4 GiB when there is none. */
  public long highRamEnd() {
    return GuestMemory.FOUR_GIB + Math.max(0, ramBytes - GuestMemory.HOLE_START);
  }

  public long ramBytes() {
    return ramBytes;
  }

  public PciWindows windows() {
    return windows;
  }

  /**
   * The map as the array of 20-byte entries that boot protocols hand over: base, size, type,
   * little-endian.
   */
  public byte[] e820() {
    var buffer =
        java.nio.ByteBuffer.allocate(ranges.size() * 20).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    for (Range range : ranges) {
      buffer.putLong(range.base).putLong(range.sizeBytes).putInt(range.kind.e820Type());
    }
    return buffer.array();
  }
}
