package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import java.lang.classfile.Label;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A basic block of a region: instructions of one page, entered only at the first. Places are given
 * as deltas: linear addresses relative to the page of the region's entry.
 */
final class RegionBlock {
  final Activation activation;

  /** Where the first instruction is. */
  final int start;

  final List<Instruction> instructions = new ArrayList<>();
  final List<Integer> deltas = new ArrayList<>();

  /** Places to which the indirect jump or call at the end led, as far as they are looked at. */
  final List<Integer> targets = new ArrayList<>();

  /** How many edges of the region lead here. */
  int predecessors;

  /** Position in the generated code. */
  int index;

  /** What is in locals, and what of it may have changed, where the block begins. */
  long loadedBefore;

  long changedBefore;

  /** Where the generated code of the block begins; set by the compiler. */
  @Nullable Label label;

  /** What the edges written so far know of the flags, and how many those are. */
  FlagEmitter.@Nullable Knowledge knowledge;

  int writtenEdges;

  RegionBlock(Activation activation, int start) {
    this.activation = activation;
    this.start = start;
  }

  void add(int delta, Instruction instruction) {
    deltas.add(delta);
    instructions.add(instruction);
  }

  /** Behind the last instruction. */
  int end() {
    int last = instructions.size() - 1;
    return last < 0 ? start : deltas.get(last) + instructions.get(last).length();
  }

  Label label() {
    return java.util.Objects.requireNonNull(label);
  }
}
