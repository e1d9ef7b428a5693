package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Where a block leads inside its region: an entry for each edge that will be written. */
record Successors(Region region, RegionBlock block) {
  List<RegionBlock> all() {
    List<RegionBlock> result = new ArrayList<>();
    Instruction last = block.instructions.getLast();
    int end = block.end();
    int target = end + (int) last.immediate();
    Activation here = block.activation;
    if (Branches.isConditional(last.operation())) {
      add(result, here, end);
      add(result, here, target);
      return result;
    }
    switch (last.operation()) {
      case JMP -> add(result, here, target);
      case CALL -> {
        add(result, new Activation(here, end, target, here.depth() + 1), target);
        if (result.isEmpty()) {
          add(result, here, end);
        }
      }
      case RET -> add(result, here.caller(), here.returnDelta());
      case CALL_INDIRECT -> {
        for (int led : block.targets) {
          add(result, new Activation(here, end, led, here.depth() + 1), led);
        }
        if (block.targets.isEmpty()) {
          add(result, here, end);
        }
      }
      case JMP_INDIRECT -> block.targets.forEach(led -> add(result, here, led));
      default -> add(result, here, end);
    }
    return result;
  }

  /** Whether the block ends with a call of code outside the region, that may come back. */
  boolean callsOut() {
    Instruction last = block.instructions.getLast();
    int end = block.end();
    int target = end + (int) last.immediate();
    Activation here = block.activation;
    return last.operation() == Operation.CALL_INDIRECT && block.targets.isEmpty()
        || last.operation() == Operation.CALL
            && region.at(new Activation(here, end, target, here.depth() + 1), target) == null;
  }

  private void add(List<RegionBlock> result, @Nullable Activation activation, int delta) {
    RegionBlock block = region.at(activation, delta);
    if (block != null) {
      result.add(block);
    }
  }
}
