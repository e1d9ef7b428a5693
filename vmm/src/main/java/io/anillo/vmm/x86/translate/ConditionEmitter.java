package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;

/** Conditions of Jcc, SETcc and CMOVcc as jumps. */
final class ConditionEmitter {
  private ConditionEmitter() {}

  /** Jumps to {@code target} when the condition holds, else falls through. */
  static void jumpIf(Frame frame, int condition, Label target) {
    boolean negate = (condition & 1) != 0;
    int group = condition >> 1 & 7;
    boolean written =
        switch (frame.flags.fusion().kind()) {
          case COMPARISON -> comparison(frame, group, negate, target);
          case LOGIC -> logic(frame, group, negate, target);
          case UNKNOWN -> byKind(frame, group, negate, target);
        };
    if (!written) {
      frame.flags.pushCondition(condition);
      frame.code.ifne(target);
    }
  }

  /** After a comparison whose operands are still in temporaries. */
  private static boolean comparison(Frame frame, int group, boolean negate, Label target) {
    if (group == 0 || group == 4 || group == 5) {
      return byKind(frame, group, negate, target);
    }
    CodeBuilder code = frame.code;
    Fusion fusion = frame.flags.fusion();
    if (fusion.sizeBytes() == 8) {
      code.lload(fusion.first());
      bias(code, group);
      code.lload(fusion.second());
      bias(code, group);
      code.lcmp().branch(against(group, negate), target);
      return true;
    }
    pushNarrow(frame, fusion.first(), group);
    pushNarrow(frame, fusion.second(), group);
    // Below 4 bytes operands are zero-extended, so signed comparison of them is unsigned
    // comparison.
    Opcode opcode =
        switch (group) {
          case 1, 6 -> negate ? Opcode.IF_ICMPGE : Opcode.IF_ICMPLT;
          case 2 -> negate ? Opcode.IF_ICMPNE : Opcode.IF_ICMPEQ;
          default -> negate ? Opcode.IF_ICMPGT : Opcode.IF_ICMPLE;
        };
    code.branch(opcode, target);
    return true;
  }

  /** Makes signed comparison of a long unsigned, for the groups that want that. */
  private static void bias(CodeBuilder code, int group) {
    if (group == 1 || group == 3) {
      code.loadConstant(Long.MIN_VALUE).ladd();
    }
  }

  private static void pushNarrow(Frame frame, int local, int group) {
    frame.code.iload(local);
    int size = frame.flags.fusion().sizeBytes();
    if (group == 6 || group == 7) {
      if (size == 1) {
        frame.code.i2b();
      } else if (size == 2) {
        frame.code.i2s();
      }
    } else if (group != 2 && size == 4) {
      frame.code.loadConstant(Integer.MIN_VALUE).iadd();
    }
  }

  private static Opcode against(int group, boolean negate) {
    return switch (group) {
      case 1, 6 -> negate ? Opcode.IFGE : Opcode.IFLT;
      case 2 -> negate ? Opcode.IFNE : Opcode.IFEQ;
      default -> negate ? Opcode.IFGT : Opcode.IFLE;
    };
  }

  private static boolean logic(Frame frame, int group, boolean negate, Label target) {
    CodeBuilder code = frame.code;
    switch (group) {
      case 0, 1 -> { // overflow and carry are clear
        if (negate) {
          code.goto_(target);
        }
        return true;
      }
      case 2, 3, 4, 6, 7 -> {
        code.lload(frame.flags.a).lconst_0().lcmp();
        int as = group == 4 ? 6 : group == 3 ? 2 : group;
        code.branch(against(as, negate), target);
        return true;
      }
      default -> {
        return false;
      }
    }
  }

  /** From the values that the flags are made of, as far as that is short. */
  private static boolean byKind(Frame frame, int group, boolean negate, Label target) {
    int kind = frame.flags.known();
    if (kind < 0 || kind > LazyFlags.BASE_MASK) {
      return false;
    }
    CodeBuilder code = frame.code;
    if (kind <= LazyFlags.LAST_CARRY_IN_B && group == 1) {
      code.lload(frame.flags.b).lconst_0().lcmp().branch(against(1, negate), target);
      return true;
    }
    if (kind == LazyFlags.COMPARED) {
      return floating(frame, group, negate, target);
    }
    int size = kind == LazyFlags.RAW ? 8 : 1 << (kind - 1 & 3);
    int base = kind == LazyFlags.RAW ? LazyFlags.RAW : (kind - 1 & ~3) + 1;
    if (base == LazyFlags.SUB && (group == 1 || group == 2 || group == 3 || group >= 6)) {
      code.lload(frame.flags.a);
      bias(code, group);
      code.lload(frame.flags.b);
      bias(code, group);
      code.lcmp().branch(against(group, negate), target);
      return true;
    }
    if (group != 2 && (group != 4 || kind == LazyFlags.RAW)) {
      return false;
    }
    switch (base) {
      case LazyFlags.RAW, LazyFlags.INC, LazyFlags.DEC -> code.lload(frame.flags.a);
      case LazyFlags.ADD -> {
        code.lload(frame.flags.a).lload(frame.flags.b).ladd();
        narrow(code, size);
      }
      case LazyFlags.SUB -> {
        code.lload(frame.flags.a).lload(frame.flags.b).lsub();
        narrow(code, size);
      }
      case LazyFlags.SHL -> {
        code.lload(frame.flags.a).lload(frame.flags.b).l2i().lshl();
        narrow(code, size);
      }
      default -> {
        return false;
      }
    }
    code.lconst_0().lcmp().branch(against(group == 4 ? 6 : 2, negate), target);
    return true;
  }

  private static void narrow(CodeBuilder code, int size) {
    switch (size) {
      case 1 -> code.l2i().i2b().i2l();
      case 2 -> code.l2i().i2s().i2l();
      case 4 -> code.l2i().i2l();
      default -> {}
    }
  }

  /** After a floating-point comparison: ZF, PF and CF stand in one number. */
  private static boolean floating(Frame frame, int group, boolean negate, Label target) {
    int mask =
        switch (group) {
          case 1 -> 0x01;
          case 2 -> 0x40;
          case 3 -> 0x41;
          case 5 -> 0x04;
          default -> 0;
        };
    if (mask == 0) {
      return false;
    }
    frame.code.lload(frame.flags.a).l2i().loadConstant(mask).iand();
    frame.code.branch(negate ? Opcode.IFEQ : Opcode.IFNE, target);
    return true;
  }
}
