package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Guest code that is translated together: blocks, and how they are connected. */
final class Region {
  private record Place(Activation activation, int delta) {}

  /** In the order in which code is written for them. */
  final List<RegionBlock> blocks;

  /** By number. */
  final List<RegionPage> pages;

  final RegionBlock entry;
  private final Map<Place, RegionBlock> byPlace = new HashMap<>();

  /**
   * @param blocks one of them begins at {@code entryDelta}, in the activation without a caller
   */
  Region(List<RegionBlock> blocks, List<RegionPage> pages, int entryDelta) {
    this.blocks = blocks;
    this.pages = pages;
    RegionBlock first = null;
    for (int i = 0; i < blocks.size(); i++) {
      RegionBlock block = blocks.get(i);
      block.index = i;
      byPlace.put(new Place(block.activation, block.start), block);
      if (block.activation.caller() == null && block.start == entryDelta) {
        first = block;
      }
    }
    if (first == null) {
      throw new IllegalArgumentException("no block of the region begins at its entry");
    }
    this.entry = first;
  }

  /** The region without the blocks that no way from the entry leads to. */
  Region reachable() {
    Set<RegionBlock> found = new LinkedHashSet<>();
    ArrayDeque<RegionBlock> open = new ArrayDeque<>();
    open.add(entry);
    while (!open.isEmpty()) {
      RegionBlock block = open.removeLast();
      if (found.add(block)) {
        open.addAll(new Successors(this, block).all());
      }
    }
    return found.size() == blocks.size()
        ? this
        : new Region(blocks.stream().filter(found::contains).toList(), pages, entry.start);
  }

  /** The block that begins at a place, if it is in the region. */
  @Nullable RegionBlock at(@Nullable Activation activation, int delta) {
    return activation == null ? null : byPlace.get(new Place(activation, delta));
  }

  RegionPage pageOf(int delta) {
    for (RegionPage page : pages) {
      if (page.delta() == (delta & -4096)) {
        return page;
      }
    }
    throw new IllegalArgumentException("no page of the region at " + delta);
  }

  /** Guest-physical address of a block. */
  long physical(RegionBlock block) {
    return pageOf(block.start).physical() | block.start & 4095;
  }

  /** Whether the pages hold what they did when the region was built. */
  boolean isCurrent(GuestMemory memory) {
    byte[] now = new byte[GuestMemory.PAGE_BYTES];
    for (RegionPage page : pages) {
      memory.read(page.physical(), now, 0, now.length);
      if (!Arrays.equals(now, page.bytes())) {
        return false;
      }
    }
    return true;
  }

  /** For each page, a bit for each 64 bytes that code of the region stands in. */
  long[] chunks() {
    long[] result = new long[pages.size()];
    for (RegionBlock block : blocks) {
      int first = (block.start & 4095) >>> 6;
      int last = (block.end() - 1 & 4095) >>> 6;
      result[pageOf(block.start).number()] |= -1L >>> 63 - (last - first) << first;
    }
    return result;
  }

  /** How many instructions all blocks have: no way between two looks at the budget is longer. */
  int instructions() {
    return blocks.stream().mapToInt(block -> block.instructions.size()).sum();
  }
}
