package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operation;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Finds the code reachable from an entry without leaving its page, as basic blocks in order of
 * address.
 */
final class RegionBuilder {
  private final GuestMemory memory;
  private final Decoder decoder = new Decoder();
  private final byte[] page = new byte[GuestMemory.PAGE_BYTES];

  RegionBuilder(GuestMemory memory) {
    this.memory = memory;
  }

  /**
   * Builds the blocks of a region.
   *
   * @param physical guest-physical address of the entry
   * @param instructionLimit about how many instructions to take
   * @return the blocks, the entry's among them; empty when the first instruction cannot be decoded
   */
  List<RegionBlock> build(long physical, int instructionLimit) {
    memory.read(physical & -4096L, page, 0, page.length);
    int entry = (int) physical & 4095;
    TreeMap<Integer, Instruction> found = new TreeMap<>();
    TreeSet<Integer> leaders = new TreeSet<>();
    Deque<Integer> work = new ArrayDeque<>();
    leaders.add(entry);
    work.add(entry);
    while (!work.isEmpty() && found.size() < instructionLimit) {
      int at = work.poll();
      while (!found.containsKey(at)) {
        Instruction instruction = decode(at);
        if (instruction == null) {
          break;
        }
        found.put(at, instruction);
        int next = at + instruction.length();
        if (Branches.isDirect(instruction.operation())) {
          int target = next + (int) instruction.immediate();
          if (target >= 0 && target < page.length) {
            leaders.add(target);
            work.add(target);
          }
        }
        if (Branches.isConditional(instruction.operation())) {
          leaders.add(next);
        } else if (Branches.endsBlock(instruction.operation())) {
          break;
        }
        if (next >= page.length || found.size() >= instructionLimit + 32) {
          break;
        }
        at = next;
      }
    }
    return blocks(found, leaders);
  }

  private @Nullable Instruction decode(int offset) {
    try {
      return decoder.decode(page, offset, page.length, CodeSize.CODE_64);
    } catch (DecodeException e) {
      return null; // the region ends before it, and the interpreter meets it
    }
  }

  private static List<RegionBlock> blocks(
      TreeMap<Integer, Instruction> found, TreeSet<Integer> leaders) {
    List<RegionBlock> blocks = new ArrayList<>();
    RegionBlock current = null;
    int expected = -1;
    for (var each : found.entrySet()) {
      int offset = each.getKey();
      Operation operation = each.getValue().operation();
      if (current == null || leaders.contains(offset) || offset != expected) {
        current = new RegionBlock(offset);
        blocks.add(current);
      }
      current.add(offset, each.getValue());
      expected = offset + each.getValue().length();
      if (Branches.isConditional(operation) || Branches.endsBlock(operation)) {
        current = null;
      }
    }
    return blocks;
  }
}
