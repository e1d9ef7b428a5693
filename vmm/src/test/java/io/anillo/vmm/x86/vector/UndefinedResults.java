package io.anillo.vmm.x86.vector;

import static io.anillo.vmm.cpu.CpuState.AF;
import static io.anillo.vmm.cpu.CpuState.ARITHMETIC_FLAGS;
import static io.anillo.vmm.cpu.CpuState.CF;
import static io.anillo.vmm.cpu.CpuState.OF;
import static io.anillo.vmm.cpu.CpuState.PF;
import static io.anillo.vmm.cpu.CpuState.SF;
import static io.anillo.vmm.cpu.CpuState.ZF;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import org.jspecify.annotations.Nullable;

/**
 * What the manuals leave undefined, by instruction: Intel SDM vol. 2, "Flags Affected" of each, and
 * vol. 1 appendix A.1; AMD APM vol. 3 agrees but where noted.
 */
final class UndefinedResults {
  private UndefinedResults() {}

  /**
   * Whether which fault comes first, its address and its leftovers are a processor's own: masked
   * stores (Intel SDM vol. 2B, MASKMOVQ), x87 environments and images.
   */
  static boolean faults(@Nullable Instruction instruction) {
    if (instruction == null) {
      return false;
    }
    return switch (instruction.operation()) {
      case MASKMOVQ, MASKMOVDQU -> true;
      case X87 -> isEnvironment(instruction);
      default -> false;
    };
  }

  /**
   * Whether a fault may leave some of the work done, and name any of the addresses: PUSHA, POPA.
   */
  static boolean partial(@Nullable Instruction instruction) {
    if (instruction == null) {
      return false;
    }
    return switch (instruction.operation()) {
      case PUSHA, POPA -> true;
      default -> false;
    };
  }

  private static boolean isEnvironment(Instruction instruction) {
    int extension = instruction.modrm() >> 3 & 7;
    return instruction.modrm() < 0xC0
        && (instruction.opcode() == 0xD9 || instruction.opcode() == 0xDD)
        && (extension == 4 || extension == 6);
  }

  /** Flags that may have any value after the instruction. */
  static int flags(VectorCase c, @Nullable Instruction instruction) {
    if (instruction == null) {
      return 0;
    }
    return switch (instruction.operation()) {
      case AND, OR, XOR, TEST -> AF;
      case SHL, SHR, SAR -> shiftFlags(c, instruction);
      case ROL, ROR, RCL, RCR -> count(c, instruction) == 1 ? 0 : OF;
      case SHLD, SHRD -> {
        int count = count(c, instruction);
        int bits = instruction.operand(0).sizeBytes() * 8;
        yield count == 0 ? 0 : count > bits ? ARITHMETIC_FLAGS : count == 1 ? AF : AF | OF;
      }
      case MUL, IMUL1, IMUL2, IMUL3 -> SF | ZF | AF | PF;
      case DIV, IDIV -> ARITHMETIC_FLAGS;
      case BT, BTS, BTR, BTC -> OF | SF | AF | PF;
      case BSF, BSR -> CF | OF | SF | AF | PF;
      case AAA, AAS -> OF | SF | ZF | PF;
      case AAM, AAD -> OF | AF | CF;
      case DAA, DAS -> OF;
      default -> 0;
    };
  }

  private static int shiftFlags(VectorCase c, Instruction instruction) {
    int count = count(c, instruction);
    if (count == 0) {
      return 0;
    }
    int undefined = count == 1 ? AF : AF | OF;
    boolean far = count > instruction.operand(0).sizeBytes() * 8;
    return far ? undefined | CF : undefined;
  }

  private static int count(VectorCase c, Instruction instruction) {
    Operand operand = instruction.operand(instruction.operandCount() - 1);
    long count = operand.isImmediate() ? instruction.immediate() : c.general[CpuState.RCX];
    return (int) count & (instruction.operand(0).sizeBytes() == 8 ? 63 : 31);
  }

  /** The general register that may have any value, or -1. */
  static int register(VectorCase c, @Nullable Instruction instruction) {
    if (instruction == null) {
      return -1;
    }
    return switch (instruction.operation()) {
      case SHLD, SHRD -> {
        boolean far = count(c, instruction) > instruction.operand(0).sizeBytes() * 8;
        yield far && instruction.operand(0).isGeneral() ? instruction.operand(0).register() : -1;
      }
      case BSWAP -> instruction.operandBytes() == 2 ? instruction.operand(0).register() : -1;
      default -> -1;
    };
  }

  /** Whether the memory operand may have any value. */
  static boolean memory(VectorCase c, @Nullable Instruction instruction) {
    if (instruction == null) {
      return false;
    }
    return switch (instruction.operation()) {
      case SHLD, SHRD ->
          instruction.operand(0).isMemory()
              && count(c, instruction) > instruction.operand(0).sizeBytes() * 8;
      // The pointers and reserved bytes of the images are a processor's own.
      case FXSAVE -> true;
      case X87 -> instruction.modrm() < 0xC0 && storesEnvironment(instruction);
      default -> false;
    };
  }

  private static boolean storesEnvironment(Instruction instruction) {
    int extension = instruction.modrm() >> 3 & 7;
    return (instruction.opcode() == 0xD9 || instruction.opcode() == 0xDD) && extension == 6;
  }

  /** Bits of the x87 status word that may have any value: C0 to C3 where undefined. */
  static int status(@Nullable Instruction instruction) {
    if (instruction == null) {
      return 0;
    }
    return switch (instruction.operation()) {
      case X87 -> transcendental(instruction) ? 0x4720 : 0x4500;
      default -> 0;
    };
  }

  /** FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1: exact to a bound only. */
  static boolean transcendental(@Nullable Instruction instruction) {
    if (instruction == null || instruction.opcode() != 0xD9) {
      return false;
    }
    return switch (instruction.modrm()) {
      case 0xF0, 0xF1, 0xF2, 0xF3, 0xF9, 0xFB, 0xFE, 0xFF -> true;
      default -> false;
    };
  }
}
