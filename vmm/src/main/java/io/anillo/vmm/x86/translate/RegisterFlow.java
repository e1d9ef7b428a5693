package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import java.util.List;

/**
 * Decides what is in locals where blocks begin: what may have changed on a way there has to be;
 * what a loop needs is, so that it is loaded before the loop; what every way has loaded may stay.
 * Only a plan: the edges load and store what is missing, so a bad one costs speed.
 */
final class RegisterFlow {
  private final Region region;
  private final long storedEarly;
  private final long[] needed;
  private final long[] changes;

  private RegisterFlow(Region region, long storedEarly) {
    this.storedEarly = storedEarly;
    this.region = region;
    int count = region.blocks.size();
    needed = new long[count];
    changes = new long[count];
    for (RegionBlock block : region.blocks) {
      for (Instruction instruction : block.instructions) {
        needed[block.index] |= RegisterMask.needed(instruction) & ~changes[block.index];
        changes[block.index] |= RegisterMask.changed(instruction);
      }
    }
  }

  /**
   * @param storedEarly what is stored where a block ends
   */
  static void plan(Region region, long storedEarly) {
    RegisterFlow flow = new RegisterFlow(region, storedEarly);
    flow.planChanged();
    flow.planLoaded();
  }

  private void planChanged() {
    boolean again = true;
    while (again) {
      again = false;
      for (RegionBlock block : region.blocks) {
        Successors successors = new Successors(region, block);
        long out =
            successors.callsOut() ? 0 : (block.changedBefore | changes[block.index]) & ~storedEarly;
        for (RegionBlock next : successors.all()) {
          if ((out & ~next.changedBefore) != 0) {
            next.changedBefore |= out;
            again = true;
          }
        }
      }
    }
  }

  private void planLoaded() {
    for (RegionBlock block : region.blocks) {
      block.loadedBefore = block == region.entry ? 0 : RegisterMask.EVERYTHING;
    }
    boolean again = true;
    while (again) {
      again = false;
      for (RegionBlock block : region.blocks) {
        Successors successors = new Successors(region, block);
        long out =
            successors.callsOut()
                ? 0
                : block.loadedBefore | needed[block.index] | changes[block.index];
        for (RegionBlock next : successors.all()) {
          long both = next.loadedBefore & out;
          if (both != next.loadedBefore) {
            next.loadedBefore = both;
            again = true;
          }
        }
      }
    }
    for (RegionBlock block : region.blocks) {
      block.loadedBefore |= block.changedBefore;
    }
    // What is needed anywhere between the head of a loop and the jump back to it.
    for (RegionBlock block : region.blocks) {
      for (RegionBlock head : new Successors(region, block).all()) {
        if (head.index <= block.index) {
          List<RegionBlock> inside = region.blocks.subList(head.index, block.index + 1);
          for (RegionBlock each : inside) {
            head.loadedBefore |= needed[each.index];
          }
        }
      }
    }
  }
}
