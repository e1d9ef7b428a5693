package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;

/** Integer moves and arithmetic. */
final class IntegerEmitter {
  private IntegerEmitter() {}

  /**
   * Writes an instruction.
   *
   * @return false, with nothing written, when this emitter does not know it
   */
  static boolean emit(Frame frame, Instruction instruction) {
    if (instruction.locked() && !frame.alone()) {
      return false;
    }
    switch (instruction.operation()) {
      case ADD, OR, ADC, SBB, AND, SUB, XOR, CMP -> binary(frame, instruction);
      case TEST -> test(frame, instruction);
      case INC, DEC -> count(frame, instruction);
      case NEG -> negate(frame, instruction);
      case NOT -> complement(frame, instruction);
      case MOV, MOVNTI -> move(frame, instruction);
      case MOVZX -> extend(frame, instruction, false);
      case MOVSX, MOVSXD -> extend(frame, instruction, true);
      case LEA -> loadAddress(frame, instruction);
      case XCHG -> {
        return exchange(frame, instruction);
      }
      case CBW -> extendAccumulator(frame, instruction);
      case CWD -> signToData(frame, instruction);
      case BSWAP -> {
        return byteSwap(frame, instruction);
      }
      case NOP -> {}
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
          CMOVG ->
          conditionalMove(frame, instruction);
      case SETO,
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
          setCondition(frame, instruction);
      case PUSH -> {
        return push(frame, instruction);
      }
      case POP -> {
        return pop(frame, instruction);
      }
      case LEAVE -> {
        return leave(frame, instruction);
      }
      default -> {
        return false;
      }
    }
    return true;
  }

  // ---- operands as temporaries

  /** Brings an operand into a temporary of its kind: longs[n] for 8 bytes, else ints[n]. */
  static void fetch(Frame frame, Instruction instruction, Operand operand, int n) {
    CodeBuilder code = frame.code;
    // An immediate is as wide as what it is combined with.
    int size = operand.isImmediate() ? instruction.operand(0).sizeBytes() : operand.sizeBytes();
    switch (operand.kind()) {
      case IMMEDIATE -> {
        if (size == 8) {
          code.loadConstant(instruction.immediate());
        } else {
          int value = (int) instruction.immediate();
          code.loadConstant(size == 1 ? value & 0xFF : size == 2 ? value & 0xFFFF : value);
        }
      }
      case MEMORY -> {
        frame.locate(instruction, size, false);
        frame.memory.push(size);
      }
      default -> frame.pushRegister(operand);
    }
    store(frame, size, n);
  }

  private static void store(Frame frame, int size, int n) {
    if (size == 8) {
      frame.code.lstore(frame.longs[n]);
    } else {
      frame.code.istore(frame.ints[n]);
    }
  }

  /** As {@link #fetch} for an operand that will be written: memory is located for writing. */
  static void fetchForUpdate(Frame frame, Instruction instruction, Operand operand, int n) {
    if (!operand.isMemory()) {
      fetch(frame, instruction, operand, n);
      return;
    }
    frame.locate(instruction, operand.sizeBytes(), true);
    frame.memory.push(operand.sizeBytes());
    store(frame, operand.sizeBytes(), n);
  }

  static void writeBack(Frame frame, Operand operand, int local) {
    if (operand.isMemory()) {
      frame.memory.store(operand.sizeBytes(), local);
    } else {
      frame.storeRegister(operand, local);
    }
  }

  static int temporary(Frame frame, int size, int n) {
    return size == 8 ? frame.longs[n] : frame.ints[n];
  }

  /** Pushes a temporary, sign-extended to 64 bits. */
  static void pushSigned(Frame frame, int size, int n) {
    CodeBuilder code = frame.code;
    switch (size) {
      case 8 -> code.lload(frame.longs[n]);
      case 4 -> code.iload(frame.ints[n]).i2l();
      case 2 -> code.iload(frame.ints[n]).i2s().i2l();
      default -> code.iload(frame.ints[n]).i2b().i2l();
    }
  }

  /** Temporaries 0 and 1 become what the flags are made of. */
  static void keepOperands(Frame frame, int size) {
    pushSigned(frame, size, 0);
    frame.code.lstore(frame.flags.a);
    pushSigned(frame, size, 1);
    frame.code.lstore(frame.flags.b);
  }

  // ---- arithmetic

  private static void binary(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    boolean writes = instruction.operation() != Operation.CMP;
    fetch(frame, instruction, instruction.operand(1), 1);
    if (writes) {
      fetchForUpdate(frame, instruction, to, 0);
    } else {
      fetch(frame, instruction, to, 0);
    }
    compute(frame, instruction, size);
    if (writes) {
      writeBack(frame, to, temporary(frame, size, 2));
    }
    setFlags(frame, instruction.operation(), size);
  }

  /** The flags of temporaries 0 and 1 and the result in 2. */
  private static void setFlags(Frame frame, Operation operation, int size) {
    CodeBuilder code = frame.code;
    switch (operation) {
      case ADD -> {
        keepOperands(frame, size);
        frame.flags.set(LazyFlags.ADD, size);
      }
      case SUB, CMP -> {
        keepOperands(frame, size);
        frame.flags.setSubtraction(size, temporary(frame, size, 0), temporary(frame, size, 1));
      }
      case ADC, SBB -> {
        pushCarries(frame, size, operation == Operation.SBB);
        code.lstore(frame.flags.b);
        pushSigned(frame, size, 2);
        code.lstore(frame.flags.a);
        frame.flags.setRaw();
      }
      default -> {
        pushSigned(frame, size, 2);
        code.lstore(frame.flags.a);
        frame.flags.setLogic(size);
      }
    }
  }

  /** Pushes the carries of an addition or subtraction of temporaries 0 and 1 with result 2. */
  private static void pushCarries(Frame frame, int size, boolean subtraction) {
    CodeBuilder code = frame.code;
    String name = subtraction ? "subtractCarries" : "addCarries";
    switch (size) {
      case 8 -> {
        code.lload(frame.longs[0]).lload(frame.longs[1]).lload(frame.longs[2]);
        code.invokestatic(Names.ALU, name + "64", Names.type(Names.J, Names.J, Names.J, Names.J));
      }
      case 4 -> {
        code.iload(frame.ints[0]).iload(frame.ints[1]).iload(frame.ints[2]);
        code.invokestatic(Names.ALU, name + "32", Names.type(Names.J, Names.I, Names.I, Names.I));
      }
      default -> {
        code.iload(frame.ints[0]).i2l().iload(frame.ints[1]).i2l().iload(frame.ints[2]).i2l();
        code.loadConstant(size);
        code.invokestatic(Names.ALU, name, Names.type(Names.J, Names.J, Names.J, Names.J, Names.I));
      }
    }
  }

  private static void compute(Frame frame, Instruction instruction, int size) {
    CodeBuilder code = frame.code;
    if (size == 8) {
      code.lload(frame.longs[0]).lload(frame.longs[1]);
      switch (instruction.operation()) {
        case ADD -> code.ladd();
        case OR -> code.lor();
        case ADC -> {
          code.ladd();
          frame.flags.pushCarry();
          code.bipush(63).lushr().ladd();
        }
        case SBB -> {
          code.lsub();
          frame.flags.pushCarry();
          code.bipush(63).lushr().lsub();
        }
        case AND, TEST -> code.land();
        case SUB, CMP -> code.lsub();
        default -> code.lxor();
      }
      code.lstore(frame.longs[2]);
      return;
    }
    code.iload(frame.ints[0]).iload(frame.ints[1]);
    switch (instruction.operation()) {
      case ADD -> code.iadd();
      case OR -> code.ior();
      case ADC -> {
        code.iadd();
        frame.flags.pushCarry();
        code.bipush(63).lushr().l2i().iadd();
      }
      case SBB -> {
        code.isub();
        frame.flags.pushCarry();
        code.bipush(63).lushr().l2i().isub();
      }
      case AND, TEST -> code.iand();
      case SUB, CMP -> code.isub();
      default -> code.ixor();
    }
    code.istore(frame.ints[2]);
  }

  private static void test(Frame frame, Instruction instruction) {
    int size = instruction.operand(0).sizeBytes();
    fetch(frame, instruction, instruction.operand(1), 1);
    fetch(frame, instruction, instruction.operand(0), 0);
    compute(frame, instruction, size);
    setFlags(frame, instruction.operation(), size);
  }

  private static void count(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    boolean up = instruction.operation() == Operation.INC;
    fetchForUpdate(frame, instruction, to, 0);
    if (size == 8) {
      code.lload(frame.longs[0]).lconst_1();
      if (up) {
        code.ladd();
      } else {
        code.lsub();
      }
      code.lstore(frame.longs[2]);
    } else {
      code.iload(frame.ints[0]).iconst_1();
      if (up) {
        code.iadd();
      } else {
        code.isub();
      }
      code.istore(frame.ints[2]);
    }
    writeBack(frame, to, temporary(frame, size, 2));
    // CF stays what it was.
    frame.flags.pushCarry();
    code.lstore(frame.flags.b);
    pushSigned(frame, size, 2);
    code.lstore(frame.flags.a);
    frame.flags.set(up ? LazyFlags.INC : LazyFlags.DEC, size);
  }

  private static void negate(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    fetchForUpdate(frame, instruction, to, 1);
    if (size == 8) {
      code.lconst_0().lstore(frame.longs[0]);
      code.lload(frame.longs[1]).lneg().lstore(frame.longs[2]);
    } else {
      code.iconst_0().istore(frame.ints[0]);
      code.iload(frame.ints[1]).ineg().istore(frame.ints[2]);
    }
    writeBack(frame, to, temporary(frame, size, 2));
    setFlags(frame, Operation.SUB, size);
  }

  /** NOT: leaves the flags alone, and so the temporaries that they may be made of. */
  private static void complement(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    fetchForUpdate(frame, instruction, to, 2);
    if (size == 8) {
      code.lload(frame.longs[2]).loadConstant(-1L).lxor().lstore(frame.longs[2]);
    } else {
      code.iload(frame.ints[2]).iconst_m1().ixor().istore(frame.ints[2]);
    }
    writeBack(frame, to, temporary(frame, size, 2));
  }

  // ---- moves

  private static void move(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    int size = to.sizeBytes();
    if (to.isMemory()) {
      frame.locate(instruction, size, true);
      if (size == 8 && from.isGeneral()) {
        frame.memory.store(8, frame.local(from.register()));
        return;
      }
      fetch(frame, instruction, from, 3);
      frame.memory.store(size, temporary(frame, size, 3));
      return;
    }
    fetch(frame, instruction, from, 3);
    frame.storeRegister(to, temporary(frame, size, 3));
  }

  private static void extend(Frame frame, Instruction instruction, boolean signed) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    Operand from = instruction.operand(1);
    int fromSize = from.sizeBytes();
    fetch(frame, instruction, from, 3);
    if (fromSize == 8) {
      frame.storeRegister(to, frame.longs[3]);
      return;
    }
    code.iload(frame.ints[3]);
    if (signed && fromSize == 1) {
      code.i2b();
    } else if (signed && fromSize == 2) {
      code.i2s();
    }
    if (to.sizeBytes() == 8) {
      code.i2l().lstore(frame.longs[3]);
      frame.storeRegister(to, frame.longs[3]);
    } else {
      code.istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
  }

  private static void loadAddress(Frame frame, Instruction instruction) {
    Operand to = instruction.operand(0);
    frame.pushEffectiveAddress(instruction);
    if (to.sizeBytes() == 8) {
      frame.code.lstore(frame.written(to.register()));
      return;
    }
    frame.code.l2i().istore(frame.ints[3]);
    frame.storeRegister(to, frame.ints[3]);
  }

  private static boolean exchange(Frame frame, Instruction instruction) {
    Operand first = instruction.operand(0);
    Operand second = instruction.operand(1);
    if (first.isMemory()) {
      return exchangeMemory(frame, instruction);
    }
    if (instruction.opcode() == 0x90
        && first.register() == CpuState.RAX
        && instruction.modrm() < 0) {
      return true; // NOP
    }
    int size = first.sizeBytes();
    fetch(frame, instruction, first, 2);
    fetch(frame, instruction, second, 3);
    frame.storeRegister(first, temporary(frame, size, 3));
    frame.storeRegister(second, temporary(frame, size, 2));
    return true;
  }

  /** XCHG with memory, which is atomic: plain where the processor is alone. */
  private static boolean exchangeMemory(Frame frame, Instruction instruction) {
    if (!frame.alone()) {
      return false;
    }
    Operand register = instruction.operand(1);
    int size = register.sizeBytes();
    fetchForUpdate(frame, instruction, instruction.operand(0), 2);
    fetch(frame, instruction, register, 3);
    frame.memory.store(size, temporary(frame, size, 3));
    frame.storeRegister(register, temporary(frame, size, 2));
    return true;
  }

  private static void extendAccumulator(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int size = instruction.operandBytes();
    code.lload(frame.local(CpuState.RAX)).l2i();
    switch (size) {
      case 8 -> code.i2l().lstore(frame.written(CpuState.RAX));
      case 4 -> code.i2s().istore(frame.ints[3]);
      default -> code.i2b().istore(frame.ints[3]);
    }
    if (size != 8) {
      frame.storeRegister(new Operand(Operand.Kind.GENERAL, CpuState.RAX, size), frame.ints[3]);
    }
  }

  private static void signToData(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    int size = instruction.operandBytes();
    code.lload(frame.local(CpuState.RAX));
    if (size == 8) {
      code.bipush(63).lshr().lstore(frame.written(CpuState.RDX));
      return;
    }
    code.l2i();
    if (size == 2) {
      code.i2s();
    }
    code.bipush(31).ishr().istore(frame.ints[3]);
    frame.storeRegister(new Operand(Operand.Kind.GENERAL, CpuState.RDX, size), frame.ints[3]);
  }

  private static boolean byteSwap(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand operand = instruction.operand(0);
    int local = frame.written(operand.register());
    if (operand.sizeBytes() == 8) {
      code.lload(local);
      code.invokestatic(Names.LONG, "reverseBytes", Names.type(Names.J, Names.J)).lstore(local);
      return true;
    }
    if (instruction.operandBytes() == 2) {
      return false;
    }
    code.lload(local).l2i();
    code.invokestatic(Names.INTEGER, "reverseBytes", Names.type(Names.I, Names.I))
        .istore(frame.ints[3]);
    frame.storeRegister(operand, frame.ints[3]);
    return true;
  }

  private static void conditionalMove(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    int size = to.sizeBytes();
    fetch(frame, instruction, instruction.operand(1), 3);
    Label moves = code.newLabel();
    Label end = code.newLabel();
    ConditionEmitter.jumpIf(frame, instruction.opcode() & 15, moves);
    if (size == 4) {
      frame.pushRegister(to);
      code.istore(frame.ints[3]);
      frame.storeRegister(to, frame.ints[3]);
    }
    code.goto_(end);
    code.labelBinding(moves);
    frame.storeRegister(to, temporary(frame, size, 3));
    code.labelBinding(end);
  }

  private static void setCondition(Frame frame, Instruction instruction) {
    CodeBuilder code = frame.code;
    Operand to = instruction.operand(0);
    if (to.isMemory()) {
      frame.locate(instruction, 1, true);
    }
    Label holds = code.newLabel();
    Label end = code.newLabel();
    ConditionEmitter.jumpIf(frame, instruction.opcode() & 15, holds);
    code.iconst_0().istore(frame.ints[3]);
    code.goto_(end);
    code.labelBinding(holds);
    code.iconst_1().istore(frame.ints[3]);
    code.labelBinding(end);
    writeBack(frame, to, frame.ints[3]);
  }

  // ---- the stack

  private static boolean push(Frame frame, Instruction instruction) {
    if (instruction.operandBytes() != 8) {
      return false;
    }
    CodeBuilder code = frame.code;
    Operand operand = instruction.operand(0);
    int pointer = frame.local(CpuState.RSP);
    if (operand.isImmediate()) {
      code.loadConstant(instruction.immediate()).lstore(frame.longs[3]);
    } else {
      fetch(frame, instruction, operand, 3);
    }
    frame.locateOnStack(pointer, -8, true);
    frame.memory.store(8, frame.longs[3]);
    code.lload(pointer).loadConstant(8L).lsub().lstore(frame.written(CpuState.RSP));
    return true;
  }

  private static boolean pop(Frame frame, Instruction instruction) {
    Operand operand = instruction.operand(0);
    if (instruction.operandBytes() != 8 || !operand.isGeneral()) {
      return false;
    }
    CodeBuilder code = frame.code;
    int pointer = frame.local(CpuState.RSP);
    frame.locateOnStack(pointer, 0, false);
    frame.memory.push(8);
    code.lstore(frame.longs[3]);
    code.lload(pointer).loadConstant(8L).ladd().lstore(frame.written(CpuState.RSP));
    code.lload(frame.longs[3]).lstore(frame.written(operand.register()));
    return true;
  }

  private static boolean leave(Frame frame, Instruction instruction) {
    if (instruction.operandBytes() != 8) {
      return false;
    }
    CodeBuilder code = frame.code;
    int base = frame.written(CpuState.RBP);
    frame.locateOnStack(base, 0, false);
    frame.memory.push(8);
    code.lload(base).loadConstant(8L).ladd().lstore(frame.written(CpuState.RSP));
    code.lstore(base);
    return true;
  }
}
