package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.ArrayList;
import java.util.List;

/**
 * Plain regions by the blocks that they hold. Of a loop several regions are made, each from where
 * it was found hot; a processor that is in one of them stays there. Once one of them is optimized,
 * those that hold its entry are made again: without it, so they go on there.
 */
final class Enclosing {
  private static final int FIRST_LOOK = 1000;

  private final List<Plain> plains = new ArrayList<>();
  private int lookAt = FIRST_LOOK;

  /** A region, and the guest-physical addresses of its blocks other than the first. */
  record Plain(HottestFirst.Request request, CompiledCode code, long[] blocks) {
    private boolean holds(long physical) {
      for (long block : blocks) {
        if (block == physical) {
          return true;
        }
      }
      return false;
    }
  }

  void add(HottestFirst.Request request, CompiledCode code, Region region) {
    if (plains.size() >= lookAt) {
      plains.removeIf(plain -> !plain.code.valid);
      lookAt = Math.max(FIRST_LOOK, 2 * plains.size());
    }
    long[] blocks =
        region.blocks.stream()
            .filter(block -> block != region.entry)
            .mapToLong(region::physical)
            .toArray();
    plains.add(new Plain(request, code, blocks));
  }

  /** Takes those that hold the block at a guest-physical address and have run as long as that. */
  List<Plain> take(long physical, long instructions) {
    List<Plain> found = new ArrayList<>();
    plains.removeIf(plain -> {
      if (!plain.code.valid) {
        return true;
      }
      if (plain.code.retired() < instructions || !plain.holds(physical)) {
        return false;
      }
      found.add(plain);
      return true;
    });
    return found;
  }
}
