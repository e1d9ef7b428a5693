package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/**
 * CMPXCHG and XADD with memory, where the processor is alone: atomic is then what is in one piece.
 */
final class AtomicEmitter {
  private AtomicEmitter() {}

  static boolean emit(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    if (!frame.alone() || !to.isMemory()) {
      return false;
    }
    switch (instruction.operation()) {
      case CMPXCHG -> compareExchange(frame, instruction);
      case XADD -> exchangeAdd(frame, instruction);
      default -> {
        return false;
      }
    }
    return true;
  }

  private static void compareExchange(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    Operand accumulator = new Operand(Operand.Kind.GENERAL, CpuState.RAX, size);
    IntegerEmitter.fetchForUpdate(frame, instruction, to, 1);
    IntegerEmitter.fetch(frame, instruction, accumulator, 0);
    IntegerEmitter.keepOperands(frame, size);
    int found = IntegerEmitter.temporary(frame, size, 1);
    int expected = IntegerEmitter.temporary(frame, size, 0);
    Label different = code.newLabel();
    Label end = code.newLabel();
    if (size == 8) {
      code.lload(found).lload(expected).lcmp().ifne(different);
    } else {
      code.iload(found).iload(expected).if_icmpne(different);
    }
    Operand from = instruction.operand(1);
    if (size == 8) {
      frame.memory.store(8, frame.local(from.register()));
    } else {
      frame.pushRegister(from);
      code.istore(frame.ints[3]);
      frame.memory.store(size, frame.ints[3]);
    }
    code.goto_(end);
    code.labelBinding(different);
    frame.storeRegister(accumulator, found);
    code.labelBinding(end);
    frame.flags.setSubtraction(size, expected, found);
  }

  private static void exchangeAdd(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    int size = to.sizeBytes();
    IntegerEmitter.fetchForUpdate(frame, instruction, to, 0);
    IntegerEmitter.fetch(frame, instruction, from, 1);
    int sum = IntegerEmitter.temporary(frame, size, 2);
    if (size == 8) {
      code.lload(frame.longs[0]).lload(frame.longs[1]).ladd().lstore(sum);
    } else {
      code.iload(frame.ints[0]).iload(frame.ints[1]).iadd().istore(sum);
    }
    frame.memory.store(size, sum);
    frame.storeRegister(from, IntegerEmitter.temporary(frame, size, 0));
    IntegerEmitter.keepOperands(frame, size);
    frame.flags.set(LazyFlags.ADD, size);
  }
}
