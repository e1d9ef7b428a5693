package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import java.lang.classfile.Label;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A basic block of a region: instructions of one page, entered only at the first. */
final class RegionBlock {
  /** Page offset of the first instruction. */
  final int start;

  final List<Instruction> instructions = new ArrayList<>();
  final List<Integer> offsets = new ArrayList<>();

  /** Where the generated code of the block begins; set by the compiler. */
  @Nullable Label label;

  RegionBlock(int start) {
    this.start = start;
  }

  void add(int offset, Instruction instruction) {
    offsets.add(offset);
    instructions.add(instruction);
  }

  /** Page offset behind the last instruction. */
  int end() {
    int last = instructions.size() - 1;
    return last < 0 ? start : offsets.get(last) + instructions.get(last).length();
  }
}
