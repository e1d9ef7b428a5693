package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds the memory accesses of loops that are likely to lie in the page of the access before them:
 * through registers that stay, or move on in small steps. The region keeps the last page of each in
 * locals, so most of them need no lookup.
 *
 * <p>Only a plan: a wrong one costs time.
 */
final class LastPages {
  /** Pages that a region keeps. Each takes two locals. */
  private static final int MOST = 6;

  /** Bytes of a small step: so most accesses are in the page of the one before. */
  private static final long SMALL_STEP = 512;

  /** Accesses through one register that are further apart keep pages of their own. */
  private static final int APART = 1024;

  private static final int NO_REGISTER = 16;
  private static final int RIP = 17;

  /** A kept page: which one, and whether what accesses it also writes. */
  record Kept(int number, boolean write) {}

  private record Key(int base, int index, int scale, int segment, int place) {}

  private record Use(RegionBlock block, int instruction, Key key, boolean write, int depth) {}

  private final Map<RegionBlock, Map<Integer, Kept>> pages = new HashMap<>();
  private int count;

  private LastPages() {}

  /**
   * Looks at all loops of a region.
   *
   * @param registers values of the general registers, sampled once where the code runs, or null
   */
  static LastPages of(Region region, long @Nullable [] registers) {
    LastPages plan = new LastPages();
    Loops loops = Loops.of(region);
    List<Use> uses = new ArrayList<>();
    Map<Loops.Loop, Integer> unsteady = new HashMap<>();
    for (RegionBlock block : region.blocks) {
      Loops.Loop innermost = loops.innermost(block);
      if (innermost != null && !innermost.callsOut()) { // nothing is kept over a call
        int moving = unsteady.computeIfAbsent(innermost, loop -> unsteady(loop, registers));
        uses.addAll(uses(block, moving, loops.depth(block)));
      }
    }
    Map<Key, Kept> kept = plan.choose(uses);
    for (Use use : uses) {
      Kept page = kept.get(use.key);
      if (page != null) {
        plan.pages.computeIfAbsent(use.block, key -> new HashMap<>()).put(use.instruction, page);
      }
    }
    return plan;
  }

  private static List<Use> uses(RegionBlock block, int unsteady, int depth) {
    List<Use> uses = new ArrayList<>();
    for (int i = 0; i < block.instructions.size(); i++) {
      Instruction instruction = block.instructions.get(i);
      Key key = key(instruction, block.deltas.get(i));
      if (key != null && !isIn(unsteady, key.base) && !isIn(unsteady, key.index)) {
        uses.add(new Use(block, i, key, writes(instruction), depth));
      }
    }
    return uses;
  }

  /** The pages that are accessed most are kept; an inner loop is taken to run four times. */
  private Map<Key, Kept> choose(List<Use> uses) {
    Map<Key, Integer> weights = new HashMap<>();
    Set<Key> written = new HashSet<>();
    for (Use use : uses) {
      weights.merge(use.key, 1 << 2 * Math.min(use.depth, 8), Integer::sum);
      if (use.write) {
        written.add(use.key);
      }
    }
    Map<Key, Kept> kept = new HashMap<>();
    weights.entrySet().stream()
        .sorted(Map.Entry.<Key, Integer>comparingByValue().reversed())
        .limit(MOST)
        .map(Map.Entry::getKey)
        .forEach(key -> kept.put(key, new Kept(count++, written.contains(key))));
    return kept;
  }

  /** A plan that keeps nothing. */
  static LastPages none() {
    return new LastPages();
  }

  /** How many pages are kept. */
  int count() {
    return count;
  }

  /** The page that is kept for the access of an instruction; null where it is looked up. */
  @Nullable Kept of(RegionBlock block, int instruction) {
    return pages.getOrDefault(block, Map.of()).get(instruction);
  }

  // ---- registers

  /** Registers, as bits, that do not only stay or move on in small steps in a loop. */
  private static int unsteady(Loops.Loop loop, long @Nullable [] registers) {
    int unsteady = 0;
    int before;
    do {
      before = unsteady;
      for (RegionBlock block : loop.body()) {
        for (Instruction instruction : block.instructions) {
          unsteady |= madeUnsteady(instruction, unsteady, registers);
        }
      }
    } while (unsteady != before);
    return unsteady;
  }

  private static int madeUnsteady(
      Instruction instruction, int unsteady, long @Nullable [] registers) {
    int changed = (int) (RegisterMask.changed(instruction) & RegisterMask.ALL_GENERAL);
    if (changed == 0 || isSteady(instruction, unsteady, registers)) {
      return 0;
    }
    return switch (instruction.operation()) {
      case POP, RET, CALL, CALL_INDIRECT, PUSH -> changed & ~(1 << CpuState.RSP);
      default -> changed;
    };
  }

  private static boolean isSteady(
      Instruction instruction, int unsteady, long @Nullable [] registers) {
    if (instruction.operandCount() == 0 || !isWhole(instruction.operand(0))) {
      return false;
    }
    int from = instruction.operandCount() > 1 ? 1 : 0;
    Operand source = instruction.operand(from);
    return switch (instruction.operation()) {
      case INC, DEC -> true;
      case ADD, SUB ->
          source.isImmediate()
              ? isSmall(instruction.immediate())
              : source.isGeneral()
                  && registers != null
                  && !isIn(unsteady, source.register())
                  && isSmall(registers[source.register()]);
      case LEA -> !isIn(unsteady, instruction.base()) && !isIn(unsteady, instruction.index());
      case MOV, MOVSXD ->
          source.isImmediate() || isWhole(source) && !isIn(unsteady, source.register());
      case XOR -> source.isGeneral() && source.register() == instruction.operand(0).register();
      default -> false;
    };
  }

  private static boolean isWhole(Operand operand) {
    return operand.isGeneral() && operand.sizeBytes() >= 4;
  }

  private static boolean isSmall(long step) {
    return step >= -SMALL_STEP && step <= SMALL_STEP;
  }

  private static boolean isIn(int registers, int register) {
    return register < NO_REGISTER && (registers >> register & 1) != 0;
  }

  // ---- accesses

  /** What the access of an instruction is told by; null where it has none, or not only one. */
  private static @Nullable Key key(Instruction instruction, int delta) {
    switch (instruction.operation()) {
      case CALL, RET, PUSH, POP, CALL_INDIRECT -> {
        boolean other = instruction.operandCount() > 0 && instruction.operand(0).isMemory();
        return other ? null : new Key(CpuState.RSP, NO_REGISTER, 0, 0, 0);
      }
      default -> {}
    }
    if (!hasMemory(instruction) || instruction.addressBytes() != 8) {
      return null;
    }
    int segment = instruction.segment() >= CpuState.FS ? instruction.segment() : 0;
    int index = Math.min(instruction.index(), NO_REGISTER);
    int scale = index == NO_REGISTER ? 0 : instruction.scaleShift();
    int displacement = (int) instruction.displacement();
    if (instruction.ripRelative()) {
      return new Key(RIP, index, scale, segment, delta + instruction.length() + displacement >> 12);
    }
    int base = Math.min(instruction.base(), NO_REGISTER);
    int place =
        base == NO_REGISTER ? displacement >> 12 : Math.floorDiv(displacement + APART / 2, APART);
    return new Key(base, index, scale, segment, place);
  }

  private static boolean hasMemory(Instruction instruction) {
    for (int i = 0; i < instruction.operandCount(); i++) {
      if (instruction.operand(i).isMemory()) {
        return true;
      }
    }
    return false;
  }

  private static boolean writes(Instruction instruction) {
    return switch (instruction.operation()) {
      case PUSH, CALL, CALL_INDIRECT -> true;
      case CMP, TEST, BT, JMP_INDIRECT, UCOMISD, COMISD -> false;
      default -> instruction.operandCount() > 0 && instruction.operand(0).isMemory();
    };
  }
}
