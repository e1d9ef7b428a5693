package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import java.lang.classfile.CodeBuilder;

/** SSE instructions on XMM registers: what it has in common, and who knows which. */
final class SimdEmitter {
  private SimdEmitter() {}

  /** Whether generated code for the instruction touches XMM registers directly. */
  static boolean knows(Instruction instruction) {
    boolean xmm = false;
    for (int i = 0; i < instruction.operandCount(); i++) {
      Operand.Kind kind = instruction.operand(i).kind();
      if (kind == Operand.Kind.MMX) {
        return false;
      }
      xmm |= kind == Operand.Kind.XMM;
    }
    return xmm;
  }

  /** Writes an instruction; false, with nothing written, when no emitter knows it. */
  static boolean emit(Frame frame, Instruction instruction) {
    return knows(instruction)
        && (VectorMoveEmitter.emit(frame, instruction)
            || ShuffleEmitter.emit(frame, instruction)
            || VectorEmitter.emit(frame, instruction)
            || DoubleEmitter.emit(frame, instruction)
            || ScalarEmitter.emit(frame, instruction));
  }

  static void pushLow(Frame frame, int register) {
    frame.pushXmm(register, false);
  }

  static void pushHigh(Frame frame, int register) {
    frame.pushXmm(register, true);
  }

  /** Stores a long local as the low half of a register. */
  static void storeLow(Frame frame, int register, int local) {
    frame.code.lload(local);
    frame.popXmm(register, false);
  }

  static void storeHigh(Frame frame, int register, int local) {
    frame.code.lload(local);
    frame.popXmm(register, true);
  }

  static void clearHigh(Frame frame, int register) {
    frame.code.lconst_0();
    frame.popXmm(register, true);
  }

  /** Brings 16 bytes of memory into two long locals; {@code aligned} ones leave if they are not. */
  static void fetch16(Frame frame, Instruction instruction, boolean aligned, int low, int high) {
    CodeBuilder code = frame.code;
    locate16(frame, instruction, aligned, false);
    frame.memory.push(8);
    code.lstore(low);
    frame.memory.push(8, 8);
    code.lstore(high);
  }

  static void locate16(Frame frame, Instruction instruction, boolean aligned, boolean write) {
    CodeBuilder code = frame.code;
    frame.pushAddress(instruction);
    if (aligned) {
      code.dup2().l2i().bipush(15).iand();
      // The interpreter raises #GP for a misaligned operand; the stack is emptied on the way there.
      var fine = code.newLabel();
      code.ifeq(fine);
      code.pop2().goto_(frame.sideExit());
      code.labelBinding(fine);
    }
    frame.locatePushed(instruction, 16, write);
  }
}
