package io.anillo.vmm.boot;

/**
 * One entry of the memory map that firmware would hand to an operating system (ACPI 6.5 §15,
 * "system address map").
 *
 * @param start guest-physical address of the first byte
 * @param length in bytes, positive
 */
public record MemoryRegion(long start, long length, Kind kind) {

  /**
   * What the guest may do with a region; {@link #code} is the number in E820, PVH and multiboot
   * maps.
   */
  public enum Kind {
    USABLE(1),
    RESERVED(2),
    ACPI_RECLAIMABLE(3),
    ACPI_NON_VOLATILE(4);

    private final int code;

    Kind(int code) {
      this.code = code;
    }

    public int code() {
      return code;
    }
  }

  public MemoryRegion {
    if (start < 0 || length <= 0 || start + length < start) {
      throw new IllegalArgumentException("memory region at " + start + " of " + length + " bytes");
    }
  }

  /** The address behind the last byte. */
  public long end() {
    return start + length;
  }
}
