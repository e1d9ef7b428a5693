package io.anillo.vmm.x86.translate;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The loops of a region: one for each block that is jumped back to. */
final class Loops {
  private final List<Loop> all = new ArrayList<>();

  /**
   * A loop.
   *
   * @param body its blocks
   * @param callsOut whether one of them calls code outside the region
   */
  record Loop(Set<RegionBlock> body, boolean callsOut) {}

  private Loops() {}

  static Loops of(Region region) {
    Map<RegionBlock, List<RegionBlock>> predecessors = new HashMap<>();
    for (RegionBlock block : region.blocks) {
      for (RegionBlock next : new Successors(region, block).all()) {
        predecessors.computeIfAbsent(next, key -> new ArrayList<>()).add(block);
      }
    }
    Loops loops = new Loops();
    for (RegionBlock header : region.blocks) {
      List<RegionBlock> back =
          predecessors.getOrDefault(header, List.of()).stream()
              .filter(from -> from.index >= header.index)
              .toList();
      if (!back.isEmpty()) {
        Set<RegionBlock> body = body(header, back, predecessors);
        boolean callsOut =
            body.stream().anyMatch(block -> new Successors(region, block).callsOut());
        loops.all.add(new Loop(body, callsOut));
      }
    }
    return loops;
  }

  /** The header, and all from which those that jump back to it are reached without it. */
  private static Set<RegionBlock> body(
      RegionBlock header,
      List<RegionBlock> back,
      Map<RegionBlock, List<RegionBlock>> predecessors) {
    Set<RegionBlock> body = new HashSet<>(Set.of(header));
    ArrayDeque<RegionBlock> open = new ArrayDeque<>(back);
    while (!open.isEmpty()) {
      RegionBlock block = open.removeLast();
      if (body.add(block)) {
        open.addAll(predecessors.getOrDefault(block, List.of()));
      }
    }
    return body;
  }

  /** The smallest loop around a block; null where there is none. */
  @Nullable Loop innermost(RegionBlock block) {
    return all.stream()
        .filter(loop -> loop.body.contains(block))
        .min(Comparator.comparingInt(loop -> loop.body.size()))
        .orElse(null);
  }

  /** How many loops are around a block. */
  int depth(RegionBlock block) {
    return (int) all.stream().filter(loop -> loop.body.contains(block)).count();
  }
}
