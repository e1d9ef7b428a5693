package io.anillo.vmm.x86.translate;

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
    switch (frame.fusion.kind()) {
      case COMPARISON -> {
        if (group == 1 || group == 2 || group == 3 || group == 6 || group == 7) {
          comparison(frame, group, negate, target);
          return;
        }
      }
      case LOGIC -> {
        if (logic(frame, group, negate, target)) {
          return;
        }
      }
      case UNKNOWN -> {}
    }
    general(frame, condition, group, negate, target);
  }

  private static void comparison(Frame frame, int group, boolean negate, Label target) {
    CodeBuilder code = frame.code;
    Fusion fusion = frame.fusion;
    boolean wide = fusion.sizeBytes() == 8;
    if (wide) {
      code.lload(fusion.first()).lload(fusion.second());
      if (group == 1 || group == 3) {
        code.invokestatic(Names.LONG, "compareUnsigned", Names.type(Names.I, Names.J, Names.J));
      } else {
        code.lcmp();
      }
      code.branch(against(group, negate), target);
      return;
    }
    pushNarrow(frame, fusion.first(), group);
    pushNarrow(frame, fusion.second(), group);
    if ((group == 1 || group == 3) && fusion.sizeBytes() == 4) {
      code.invokestatic(Names.INTEGER, "compareUnsigned", Names.type(Names.I, Names.I, Names.I));
      code.branch(against(group, negate), target);
      return;
    }
    // Below 4 bytes operands are zero-extended, so signed comparison of them is unsigned
    // comparison.
    Opcode opcode =
        switch (group) {
          case 1, 6 -> negate ? Opcode.IF_ICMPGE : Opcode.IF_ICMPLT;
          case 2 -> negate ? Opcode.IF_ICMPNE : Opcode.IF_ICMPEQ;
          default -> negate ? Opcode.IF_ICMPGT : Opcode.IF_ICMPLE;
        };
    code.branch(opcode, target);
  }

  private static void pushNarrow(Frame frame, int local, int group) {
    frame.code.iload(local);
    if (group == 6 || group == 7) {
      if (frame.fusion.sizeBytes() == 1) {
        frame.code.i2b();
      } else if (frame.fusion.sizeBytes() == 2) {
        frame.code.i2s();
      }
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
        code.lload(frame.flagResult).lconst_0().lcmp();
        int as = group == 4 ? 6 : group == 3 ? 2 : group;
        code.branch(against(as, negate), target);
        return true;
      }
      default -> {
        return false;
      }
    }
  }

  private static void general(Frame frame, int condition, int group, boolean negate, Label target) {
    CodeBuilder code = frame.code;
    switch (group) {
      case 2 -> {
        code.lload(frame.flagResult).lconst_0().lcmp();
        code.branch(negate ? Opcode.IFNE : Opcode.IFEQ, target);
      }
      case 1 -> {
        code.lload(frame.flagCarries).lconst_0().lcmp();
        code.branch(negate ? Opcode.IFGE : Opcode.IFLT, target);
      }
      default -> {
        code.loadConstant(condition).lload(frame.flagResult).lload(frame.flagCarries);
        code.invokestatic(Names.ALU, "condition", Names.type(Names.Z, Names.I, Names.J, Names.J));
        code.branch(Opcode.IFNE, target);
      }
    }
  }
}
