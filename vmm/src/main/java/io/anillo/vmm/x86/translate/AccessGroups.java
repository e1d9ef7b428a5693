package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Finds the memory accesses of a block that are a known distance apart: what is pushed and popped,
 * local variables, members of one structure. The first one looks the whole stretch up in the TLB,
 * and the others rely on that; a stretch that is not in one page leaves the region there.
 *
 * <p>For the optimizing compiler only accesses of the very same place are a group, as of what is
 * read, changed and written: those that share no more than a page would leave wherever a page ends
 * between them, and there looking up is cheap.
 *
 * <p>Only a plan. It may miss what belongs together; what it finds is so, whatever the instructions
 * between do, as they are inside one block, where nothing takes translations away.
 */
final class AccessGroups {
  /** Bytes between the ends of a stretch: the longer it is, the more often a page ends inside. */
  private static final int LONGEST = 128;

  /** How many stretches a block has at most, since each takes a local. */
  private static final int MOST_STRETCHES = 4;

  /** How many groups a block has at most: places that are accessed again. */
  static final int MOST = 8;

  private static final int RIP = 16;
  private static final int NO_BASE = 17;
  private static final Value NO_INDEX = new Value(-18, 0);

  /**
   * An access of a group.
   *
   * @param group its number in the block
   * @param first whether it is the one that looks up
   * @param plus bytes from the beginning of the stretch to the access
   * @param span bytes of the stretch
   * @param sizeBytes of the access
   * @param write whether any access of the group writes
   */
  record Access(int group, boolean first, int plus, int span, int sizeBytes, boolean write) {}

  /** A register's value: how far it is from another that is not known. */
  private record Value(int origin, long plus) {}

  /**
   * What accesses of a group have in common.
   *
   * @param index origin of the index, scaled; for accesses of the same place
   * @param start as {@code sizeBytes}, for accesses of the same place
   */
  private record Key(int origin, int segment, int index, int scale, long start, int sizeBytes) {}

  private record Member(int index, long start, int sizeBytes) {}

  private static final class Group {
    final List<Member> members = new ArrayList<>();
    long start;
    long end;
    boolean write;

    boolean takes(long from, long to) {
      return members.isEmpty() || Math.max(end, to) - Math.min(start, from) <= LONGEST;
    }

    void add(int index, long from, int sizeBytes, boolean writes) {
      start = members.isEmpty() ? from : Math.min(start, from);
      end = members.isEmpty() ? from + sizeBytes : Math.max(end, from + sizeBytes);
      members.add(new Member(index, from, sizeBytes));
      write |= writes;
    }
  }

  private final RegionBlock block;
  private final boolean samePlace;
  private final Value[] registers = new Value[16];
  private int origins;
  private final Map<Key, Group> open = new HashMap<>();
  private final List<Group> groups = new ArrayList<>();

  private AccessGroups(RegionBlock block, boolean samePlace) {
    this.block = block;
    this.samePlace = samePlace;
    forgetRegisters();
  }

  /**
   * What is known of each instruction's access; null where it is looked up alone.
   *
   * @param samePlace whether only accesses of the same place belong together
   */
  static @Nullable Access[] of(RegionBlock block, boolean samePlace) {
    AccessGroups plan = new AccessGroups(block, samePlace);
    int most = samePlace ? MOST : MOST_STRETCHES;
    for (int i = 0; i < block.instructions.size(); i++) {
      plan.look(i, block.instructions.get(i));
    }
    @Nullable Access[] result = new @Nullable Access[block.instructions.size()];
    int number = 0;
    for (Group group : plan.groups) {
      if (group.members.size() < 2 || number == most) {
        continue;
      }
      int span = (int) (group.end - group.start);
      for (Member each : group.members) {
        boolean first = each == group.members.getFirst();
        result[each.index] =
            new Access(
                number, first, (int) (each.start - group.start), span, each.sizeBytes, group.write);
      }
      number++;
    }
    return result;
  }

  private void look(int index, Instruction instruction) {
    switch (instruction.operation()) {
      case PUSH -> {
        if (instruction.operandBytes() == 8 && !instruction.operand(0).isMemory()) {
          access(index, CpuState.RSP, -8, 8, true);
          move(CpuState.RSP, CpuState.RSP, -8);
        } else {
          forgetRegisters();
        }
      }
      case POP -> {
        Operand to = instruction.operand(0);
        if (instruction.operandBytes() == 8 && to.isGeneral()) {
          access(index, CpuState.RSP, 0, 8, false);
          move(CpuState.RSP, CpuState.RSP, 8);
          forget(to.register());
        } else {
          forgetRegisters();
        }
      }
      case LEAVE -> {
        if (instruction.operandBytes() == 8) {
          access(index, CpuState.RBP, 0, 8, false);
          move(CpuState.RSP, CpuState.RBP, 8);
          forget(CpuState.RBP);
        } else {
          forgetRegisters();
        }
      }
      case CALL -> access(index, CpuState.RSP, -8, 8, true);
      case RET -> access(index, CpuState.RSP, 0, 8, false);
      case LEA -> {
        Operand to = instruction.operand(0);
        if (to.sizeBytes() == 8
            && instruction.addressBytes() == 8
            && instruction.base() < 16
            && instruction.index() >= 16) {
          move(to.register(), instruction.base(), instruction.displacement());
        } else {
          forget(to.register());
        }
      }
      case ADD, SUB -> {
        operand(index, instruction, true);
        Operand to = instruction.operand(0);
        if (to.isGeneral() && to.sizeBytes() == 8 && instruction.operand(1).isImmediate()) {
          boolean add = instruction.operation() == Operation.ADD;
          long by = instruction.immediate();
          move(to.register(), to.register(), add ? by : -by);
        } else {
          forget(to);
        }
      }
      case MOV -> {
        operand(index, instruction, true);
        Operand to = instruction.operand(0);
        Operand from = instruction.operand(1);
        if (to.isGeneral() && to.sizeBytes() == 8 && from.isGeneral()) {
          move(to.register(), from.register(), 0);
        } else {
          forget(to);
        }
      }
      case CMP, TEST -> operand(index, instruction, false);
      case MOVZX, MOVSX, MOVSXD, AND, OR, XOR, ADC, SBB, INC, DEC, NEG, NOT, IMUL2, IMUL3 -> {
        operand(index, instruction, true);
        forget(instruction.operand(0));
      }
      case NOP -> {}
      case SHL, SHR, SAR -> forget(instruction.operand(0));
      default -> {
        if (samePlace && ScalarEmitter.accesses(instruction)) {
          operand(index, instruction, true);
        }
        if (RegisterMask.needsFlags(instruction) || SimdEmitter.knows(instruction)) {
          forget(instruction.operand(0)); // writes nothing else
        } else {
          forgetRegisters();
        }
      }
    }
  }

  /** The memory operand of an instruction that has one at most. */
  private void operand(int index, Instruction instruction, boolean writesFirst) {
    for (int i = 0; i < instruction.operandCount(); i++) {
      Operand operand = instruction.operand(i);
      boolean known = samePlace || instruction.index() >= 16;
      if (operand.isMemory() && instruction.addressBytes() == 8 && known) {
        int base = instruction.base() < 16 ? instruction.base() : NO_BASE;
        long displacement = instruction.displacement();
        if (instruction.ripRelative()) {
          base = RIP;
          displacement += block.deltas.get(index) + instruction.length();
        }
        boolean write = writesFirst && i == 0;
        Value scaled = instruction.index() < 16 ? registers[instruction.index()] : NO_INDEX;
        int scale = instruction.scaleShift();
        displacement += scaled.plus << scale;
        int segment = instruction.segment();
        access(index, base, displacement, operand.sizeBytes(), write, segment, scaled, scale);
      }
    }
  }

  private void access(int index, int base, long displacement, int sizeBytes, boolean write) {
    access(index, base, displacement, sizeBytes, write, CpuState.SS, NO_INDEX, 0);
  }

  private void access(
      int index,
      int base,
      long displacement,
      int sizeBytes,
      boolean write,
      int segment,
      Value scaled,
      int scale) {
    Value value = base < 16 ? registers[base] : new Value(-base, 0);
    long start = value.plus + displacement;
    Key key =
        new Key(
            value.origin,
            segment >= CpuState.FS ? segment : 0,
            scaled.origin,
            scale,
            samePlace ? start : 0,
            samePlace ? sizeBytes : 0);
    Group group = open.get(key);
    if (group == null || !group.takes(start, start + sizeBytes)) {
      group = new Group();
      open.put(key, group);
      groups.add(group);
    }
    group.add(index, start, sizeBytes, write);
  }

  private void move(int to, int from, long plus) {
    registers[to] = new Value(registers[from].origin, registers[from].plus + plus);
  }

  private void forget(Operand operand) {
    if (operand.isGeneral() || operand.kind() == Operand.Kind.HIGH_BYTE) {
      forget(operand.register());
    }
  }

  private void forget(int register) {
    registers[register] = new Value(++origins, 0);
  }

  private void forgetRegisters() {
    Arrays.setAll(registers, register -> new Value(++origins, 0));
  }
}
