package io.anillo.vmm.boot;

import java.util.List;
import java.util.OptionalLong;

/**
 * The guest's memory map and what loaders ask of it. Regions do not overlap; their order does not
 * matter.
 */
record MemoryMap(List<MemoryRegion> regions) {

  MemoryMap {
    regions = List.copyOf(regions);
  }

  /** Whether one usable region holds all of a range. */
  boolean isUsable(long start, long length) {
    if (start < 0 || length < 0 || start + length < start) {
      return false;
    }
    return regions.stream()
        .anyMatch(region ->
            region.kind() == MemoryRegion.Kind.USABLE
                && region.start() <= start
                && start + length <= region.end());
  }

  /**
   * The highest aligned address at which {@code length} bytes lie in usable memory between two
   * addresses.
   *
   * @param floor the lowest address allowed
   * @param ceiling the address behind the last byte allowed
   * @param alignment a power of two
   */
  OptionalLong placeHigh(long length, long alignment, long floor, long ceiling) {
    return regions.stream()
        .filter(region -> region.kind() == MemoryRegion.Kind.USABLE)
        .filter(region -> Math.min(region.end(), ceiling) >= length)
        .mapToLong(region -> {
          long start = (Math.min(region.end(), ceiling) - length) & -alignment;
          return start >= Math.max(region.start(), floor) ? start : -1;
        })
        .filter(start -> start >= 0)
        .max();
  }

  /** The end of the usable region that holds an address, or the address itself when none does. */
  long usableEnd(long address) {
    return regions.stream()
        .filter(region -> region.kind() == MemoryRegion.Kind.USABLE)
        .filter(region -> region.start() <= address && address < region.end())
        .mapToLong(MemoryRegion::end)
        .findFirst()
        .orElse(address);
  }

  /** Usable bytes in all. */
  long usableBytes() {
    return regions.stream()
        .filter(region -> region.kind() == MemoryRegion.Kind.USABLE)
        .mapToLong(MemoryRegion::length)
        .sum();
  }
}
