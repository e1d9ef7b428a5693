package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import java.lang.classfile.CodeBuilder;

/** Moves to, from and between XMM registers. */
final class VectorMoveEmitter {
  private VectorMoveEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    switch (instruction.operation()) {
      case MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ, MOVNTDQA ->
          move16(frame, instruction, true);
      case MOVUPS, MOVUPD, MOVDQU, LDDQU -> move16(frame, instruction, false);
      case MOVQ -> quadword(frame, instruction);
      case MOVD -> general(frame, instruction);
      case MOVSD_SSE -> scalar(frame, instruction, 8);
      case MOVSS -> scalar(frame, instruction, 4);
      case MOVLPS, MOVLPD -> half(frame, instruction, false);
      case MOVHPS, MOVHPD -> half(frame, instruction, true);
      case MOVHLPS -> {
        SimdEmitter.pushHigh(frame, instruction.operand(1).register());
        frame.code.lstore(frame.longs[3]);
        SimdEmitter.storeLow(frame, instruction.operand(0).register(), frame.longs[3]);
      }
      case MOVLHPS -> {
        SimdEmitter.pushLow(frame, instruction.operand(1).register());
        frame.code.lstore(frame.longs[3]);
        SimdEmitter.storeHigh(frame, instruction.operand(0).register(), frame.longs[3]);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  private static void move16(Frame frame, Instruction instruction, boolean aligned) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    int low = frame.longs[2];
    int high = frame.longs[3];
    if (to.isMemory()) {
      SimdEmitter.locate16(frame, instruction, aligned, true);
      frame.memory.store(8, frame.xmmLocal(from.register(), false));
      frame.memory.store(8, frame.xmmLocal(from.register(), true), 8);
      return;
    }
    if (from.isMemory()) {
      SimdEmitter.fetch16(frame, instruction, aligned, low, high);
    } else {
      SimdEmitter.pushLow(frame, from.register());
      code.lstore(low);
      SimdEmitter.pushHigh(frame, from.register());
      code.lstore(high);
    }
    SimdEmitter.storeLow(frame, to.register(), low);
    SimdEmitter.storeHigh(frame, to.register(), high);
  }

  /** Leaves {@code size} bytes of memory, zero-extended, in longs[3]. */
  private static void fetch(Frame frame, Instruction instruction, int size) {
    frame.locate(instruction, size, false);
    frame.memory.push(size);
    if (size < 8) {
      frame.code.i2l().loadConstant(0xFFFF_FFFFL).land();
    }
    frame.code.lstore(frame.longs[3]);
  }

  /** Stores the low bytes of longs[3] to the memory operand. */
  private static void store(Frame frame, Instruction instruction, int size) {
    frame.locate(instruction, size, true);
    if (size == 8) {
      frame.memory.store(8, frame.longs[3]);
    } else {
      frame.code.lload(frame.longs[3]).l2i().istore(frame.ints[3]);
      frame.memory.store(size, frame.ints[3]);
    }
  }

  private static void quadword(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    if (from.isMemory()) {
      fetch(frame, instruction, 8);
    } else {
      SimdEmitter.pushLow(frame, from.register());
      frame.code.lstore(frame.longs[3]);
    }
    if (to.isMemory()) {
      store(frame, instruction, 8);
      return;
    }
    SimdEmitter.storeLow(frame, to.register(), frame.longs[3]);
    SimdEmitter.clearHigh(frame, to.register());
  }

  private static void general(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    if (to.kind() == Operand.Kind.XMM) {
      if (from.isMemory()) {
        fetch(frame, instruction, from.sizeBytes());
      } else {
        code.lload(frame.local(from.register()));
        if (from.sizeBytes() == 4) {
          code.loadConstant(0xFFFF_FFFFL).land();
        }
        code.lstore(frame.longs[3]);
      }
      SimdEmitter.storeLow(frame, to.register(), frame.longs[3]);
      SimdEmitter.clearHigh(frame, to.register());
      return;
    }
    SimdEmitter.pushLow(frame, from.register());
    code.lstore(frame.longs[3]);
    if (to.isMemory()) {
      store(frame, instruction, to.sizeBytes());
    } else if (to.sizeBytes() == 8) {
      frame.storeRegister(to, frame.longs[3]);
    } else {
      code.lload(frame.longs[3]).l2i().istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
  }

  /** MOVSD and MOVSS: loads clear the rest of the register, moves between registers keep it. */
  private static void scalar(Frame frame, Instruction instruction, int size) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    if (from.isMemory()) {
      fetch(frame, instruction, size);
      SimdEmitter.storeLow(frame, to.register(), frame.longs[3]);
      SimdEmitter.clearHigh(frame, to.register());
      return;
    }
    SimdEmitter.pushLow(frame, from.register());
    code.lstore(frame.longs[3]);
    if (to.isMemory()) {
      store(frame, instruction, size);
      return;
    }
    if (size == 4) {
      code.lload(frame.longs[3]).loadConstant(0xFFFF_FFFFL).land();
      SimdEmitter.pushLow(frame, to.register());
      code.loadConstant(0xFFFF_FFFF_0000_0000L).land().lor().lstore(frame.longs[3]);
    }
    SimdEmitter.storeLow(frame, to.register(), frame.longs[3]);
  }

  /** MOVLPS, MOVHPS and their likes: one half to or from memory. */
  private static void half(Frame frame, Instruction instruction, boolean high) {
    Operand to = instruction.operand(0);
    if (to.isMemory()) {
      int from = instruction.operand(1).register();
      if (high) {
        SimdEmitter.pushHigh(frame, from);
      } else {
        SimdEmitter.pushLow(frame, from);
      }
      frame.code.lstore(frame.longs[3]);
      store(frame, instruction, 8);
      return;
    }
    fetch(frame, instruction, 8);
    if (high) {
      SimdEmitter.storeHigh(frame, to.register(), frame.longs[3]);
    } else {
      SimdEmitter.storeLow(frame, to.register(), frame.longs[3]);
    }
  }
}
