package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Operation;
import java.lang.classfile.CodeBuilder;

/**
 * Packed additions, subtractions and shifts of 64 bits at a time as arithmetic on longs, in place:
 * the hottest of them, too short for a call. The same as {@code PackedArithmetic} and {@code
 * PackedShifts} do.
 */
final class PackedLogic {
  private PackedLogic() {}

  static boolean knows(Operation operation) {
    return switch (operation) {
      case PADDB, PADDW, PADDD, PSUBB, PSUBW, PSUBD -> true;
      default -> false;
    };
  }

  private static int bits(Operation operation) {
    return switch (operation) {
      case PADDB, PSUBB -> 8;
      case PADDW, PSUBW, PSLLW, PSRLW -> 16;
      case PADDD, PSUBD, PSLLD, PSRLD -> 32;
      default -> 64;
    };
  }

  /** A value of some bits, in every element of a long. */
  private static long repeated(long value, int bits) {
    long result = 0;
    for (int at = 0; at < 64; at += bits) {
      result |= value << at;
    }
    return result;
  }

  /** Replaces the half on the stack by its sum or difference with another, in a local. */
  static void combine(CodeBuilder code, Operation operation, int source) {
    int bits = bits(operation);
    long top = repeated(1L << bits - 1, bits);
    boolean adds =
        operation == Operation.PADDB
            || operation == Operation.PADDW
            || operation == Operation.PADDD;
    // Without the top bits no carry leaves an element; they are added without carry.
    code.dup2();
    if (adds) {
      code.loadConstant(~top).land().lload(source).loadConstant(~top).land().ladd();
    } else {
      code.loadConstant(top).lor().lload(source).loadConstant(~top).land().lsub();
    }
    code.dup2_x2().pop2();
    code.lload(source).lxor();
    if (!adds) {
      code.loadConstant(-1L).lxor();
    }
    code.loadConstant(top).land().lxor();
  }

  /** Shifts both halves of a register by a constant; false for kinds that are not known here. */
  static boolean shift(Frame frame, Operation operation, int register, int count) {
    boolean left;
    switch (operation) {
      case PSLLW, PSLLD, PSLLQ -> left = true;
      case PSRLW, PSRLD, PSRLQ -> left = false;
      default -> {
        return false;
      }
    }
    int bits = bits(operation);
    CodeBuilder code = frame.code;
    for (int half = 0; half < 2; half++) {
      if (count >= bits) {
        code.lconst_0();
      } else {
        long element = bits == 64 ? -1L : (1L << bits) - 1;
        long kept = left ? element << count & element : element >>> count;
        frame.pushXmm(register, half == 1);
        code.loadConstant(count);
        if (left) {
          code.lshl();
        } else {
          code.lushr();
        }
        if (bits != 64) {
          code.loadConstant(repeated(kept, bits)).land();
        }
      }
      frame.popXmm(register, half == 1);
    }
    return true;
  }
}
