package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
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
      case CALL -> add(result, new Activation(here, end, target, here.depth() + 1), target);
      case RET -> add(result, here.caller(), here.returnDelta());
      case CALL_INDIRECT -> {
        for (int led : block.targets) {
          add(result, new Activation(here, end, led, here.depth() + 1), led);
        }
      }
      case JMP_INDIRECT -> block.targets.forEach(led -> add(result, here, led));
      default -> add(result, here, end);
    }
    return result;
  }

  private void add(List<RegionBlock> result, @Nullable Activation activation, int delta) {
    RegionBlock block = region.at(activation, delta);
    if (block != null) {
      result.add(block);
    }
  }
}
