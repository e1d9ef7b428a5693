package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;

/**
 * Sets of what a region keeps in locals, as bits: general registers, the arithmetic flags, XMM
 * registers; and which of them an instruction needs and changes.
 */
final class RegisterMask {
  static final long FLAGS = 1L << 16;
  static final long ALL_GENERAL = 0xFFFF;
  static final int XMM_SHIFT = 32;
  static final long ALL_XMM = 0xFFFFL << XMM_SHIFT;
  static final long EVERYTHING = ALL_GENERAL | FLAGS | ALL_XMM;

  private static final int RAX = 1 << CpuState.RAX;
  private static final int RCX = 1 << CpuState.RCX;
  private static final int RDX = 1 << CpuState.RDX;
  private static final int RSP = 1 << CpuState.RSP;
  private static final int RBP = 1 << CpuState.RBP;

  private RegisterMask() {}

  static long general(int register) {
    return 1L << register;
  }

  static long xmm(int register) {
    return 1L << XMM_SHIFT + register;
  }

  /** What has to be in its local before the code of an instruction; more does no harm. */
  static long needed(Instruction instruction) {
    long needed = implied(instruction.operation());
    for (int i = 0; i < instruction.operandCount(); i++) {
      if (i > 0 || !isOverwritten(instruction)) {
        needed |= of(instruction.operand(i));
      }
    }
    if (instruction.base() < 16) {
      needed |= general(instruction.base());
    }
    if (instruction.index() < 16) {
      needed |= general(instruction.index());
    }
    if (!SimdEmitter.knows(instruction)) {
      needed &= ~ALL_XMM;
    }
    return needsFlags(instruction) ? needed | FLAGS : needed;
  }

  private static long of(Operand operand) {
    return switch (operand.kind()) {
      case GENERAL, HIGH_BYTE -> general(operand.register());
      case XMM -> xmm(operand.register());
      default -> 0;
    };
  }

  /** Whether the first operand is replaced as a whole, whatever it was. */
  private static boolean isOverwritten(Instruction instruction) {
    Operand to = instruction.operand(0);
    boolean whole = to.isGeneral() && to.sizeBytes() >= 4;
    return switch (instruction.operation()) {
      case MOV,
          MOVZX,
          MOVSX,
          MOVSXD,
          LEA,
          POP,
          IMUL3,
          POPCNT,
          PMOVMSKB,
          MOVMSKPD,
          CVTTSD2SI,
          CVTTSS2SI ->
          whole;
      case MOVD, MOVQ -> whole || to.kind() == Operand.Kind.XMM;
      case MOVAPS,
          MOVAPD,
          MOVDQA,
          MOVUPS,
          MOVUPD,
          MOVDQU,
          LDDQU,
          MOVNTDQA,
          PSHUFD,
          PSHUFLW,
          PSHUFHW ->
          to.kind() == Operand.Kind.XMM;
      case MOVSD_SSE, MOVSS -> to.kind() == Operand.Kind.XMM && instruction.operand(1).isMemory();
      default -> false;
    };
  }

  private static long implied(Operation operation) {
    return switch (operation) {
      case PUSH, POP, CALL, CALL_INDIRECT, RET -> RSP;
      case LEAVE -> RBP;
      case CBW, CWD, MUL, IMUL1, DIV, IDIV -> RAX | RDX;
      case CMPXCHG -> RAX;
      case CMPXCHG8B -> RAX | RDX | RCX | 1 << CpuState.RBX;
      default -> 0;
    };
  }

  /** Whether the flags before an instruction matter to its code. */
  static boolean needsFlags(Instruction instruction) {
    Operation operation = instruction.operation();
    if (Branches.isConditional(operation)) {
      return true;
    }
    return switch (operation) {
      case ADC, SBB, INC, DEC, ROL, ROR, BT, BTS, BTR, BTC, CLC, STC, CMC -> true;
      case SHL, SHR, SAR -> !instruction.operand(1).isImmediate();
      case CMOVO,
          CMOVNO,
          CMOVB,
          CMOVAE,
          CMOVE,
          CMOVNE,
          CMOVBE,
          CMOVA,
          CMOVS,
          CMOVNS,
          CMOVP,
          CMOVNP,
          CMOVL,
          CMOVGE,
          CMOVLE,
          CMOVG,
          SETO,
          SETNO,
          SETB,
          SETAE,
          SETE,
          SETNE,
          SETBE,
          SETA,
          SETS,
          SETNS,
          SETP,
          SETNP,
          SETL,
          SETGE,
          SETLE,
          SETG ->
          true;
      default -> false;
    };
  }

  /** About what an instruction changes; a guess, from which registers are kept in locals. */
  static long changed(Instruction instruction) {
    long changed =
        switch (instruction.operation()) {
          case PUSH, CALL, CALL_INDIRECT, RET -> RSP;
          case CMP, TEST -> FLAGS;
          case UCOMISD, COMISD -> 0;
          case POP -> of(instruction.operand(0)) | RSP;
          case LEAVE -> RSP | RBP;
          case MUL, IMUL1 -> RAX | RDX | FLAGS;
          case DIV, IDIV, CBW, CWD -> RAX | RDX;
          case MOV, MOVZX, MOVSX, MOVSXD, LEA, JMP, NOP -> of(instruction.operand(0));
          default -> of(instruction.operand(0)) | FLAGS;
        };
    if (!SimdEmitter.knows(instruction)) {
      changed &= ~ALL_XMM;
    } else if (instruction.operand(0).kind() == Operand.Kind.XMM) {
      changed &= ~FLAGS;
    }
    if (Branches.isConditional(instruction.operation())) {
      return 0;
    }
    return changed;
  }
}
