package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.interpret.CompiledCode;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.util.ArrayList;
import java.util.List;

/**
 * The generated method of one region while it is written: its JVM locals, and the ways out of it.
 *
 * <p>General registers live in locals from entry to exit; the two flag numbers too. An instruction
 * that cannot be finished (a fault, a device, a page crossing) leaves through a side exit before it
 * has changed anything, and the interpreter does it.
 */
final class Frame {
  final CodeBuilder code;
  final CompiledCode.Fallbacks fallbacks;

  final int cpu = 1;
  final int memory;
  final int general;
  final int state;
  final int ripBase;
  final int count;
  final int flagResult;
  final int flagCarries;
  final int exitRip;
  final int outcome;
  final int offset;

  /** The XMM registers and the floating-point control; assigned only in regions that use SSE. */
  final int xmm;

  final int control;

  /** Temporaries: three longs and three ints, free to every instruction. */
  final int[] longs = new int[4];

  final int[] ints = new int[4];

  private final int[] registers = new int[16];
  private final int usedRegisters;
  private final Label tail;
  private final List<Exit> exits = new ArrayList<>();

  /** What the flags were last set by, while that is still known. */
  Fusion fusion = Fusion.NONE;

  /** Page offset of the instruction being written. */
  int current;

  /** Instructions of the block before the one being written. */
  int done;

  private record Exit(Label label, int pageOffset, int done, int outcome) {}

  Frame(CodeBuilder code, CompiledCode.Fallbacks fallbacks, int usedRegisters) {
    this.code = code;
    this.fallbacks = fallbacks;
    this.usedRegisters = usedRegisters;
    memory = code.allocateLocal(TypeKind.REFERENCE);
    general = code.allocateLocal(TypeKind.REFERENCE);
    state = code.allocateLocal(TypeKind.REFERENCE);
    xmm = code.allocateLocal(TypeKind.REFERENCE);
    control = code.allocateLocal(TypeKind.REFERENCE);
    count = code.allocateLocal(TypeKind.INT);
    outcome = code.allocateLocal(TypeKind.INT);
    ripBase = code.allocateLocal(TypeKind.LONG);
    flagResult = code.allocateLocal(TypeKind.LONG);
    flagCarries = code.allocateLocal(TypeKind.LONG);
    exitRip = code.allocateLocal(TypeKind.LONG);
    offset = code.allocateLocal(TypeKind.LONG);
    for (int i = 0; i < longs.length; i++) {
      longs[i] = code.allocateLocal(TypeKind.LONG);
      ints[i] = code.allocateLocal(TypeKind.INT);
    }
    for (int i = 0; i < 16; i++) {
      if ((usedRegisters >> i & 1) != 0) {
        registers[i] = code.allocateLocal(TypeKind.LONG);
      }
    }
    tail = code.newLabel();
  }

  // ---- entry and exit

  void enter() {
    code.aload(cpu).getfield(Names.CPU, "memory", Names.MEMORY).astore(memory);
    code.aload(cpu).getfield(Names.CPU, "general", Names.LONG_ARRAY).astore(general);
    code.aload(cpu).getfield(Names.CPU, "state", Names.STATE).astore(state);
    code.iconst_0().istore(count);
    code.aload(state)
        .getfield(Names.STATE, "rip", Names.J)
        .loadConstant(-4096L)
        .land()
        .lstore(ripBase);
    code.aload(general).loadConstant(CpuState.BLOCK_RIP).lload(ripBase).lastore();
    reload();
  }

  /** Brings the XMM registers into reach; leaves when the guest may not use them now. */
  void enterSse(int entry) {
    current = entry;
    done = 0;
    code.aload(cpu).invokevirtual(Names.CPU, "sseAvailable", Names.type(Names.Z));
    code.ifeq(sideExit());
    code.aload(state).getfield(Names.STATE, "xmm", Names.LONG_ARRAY).astore(xmm);
    code.aload(cpu).invokevirtual(Names.CPU, "sseControl", Names.type(Names.CONTROL));
    code.astore(control);
  }

  private void reload() {
    for (int i = 0; i < 16; i++) {
      if ((usedRegisters >> i & 1) != 0) {
        code.aload(general).loadConstant(i).laload().lstore(registers[i]);
      }
    }
    code.aload(state).getfield(Names.STATE, "flagResult", Names.J).lstore(flagResult);
    code.aload(state).getfield(Names.STATE, "flagCarries", Names.J).lstore(flagCarries);
  }

  private void spill() {
    for (int i = 0; i < 16; i++) {
      if ((usedRegisters >> i & 1) != 0) {
        code.aload(general).loadConstant(i).lload(registers[i]).lastore();
      }
    }
    code.aload(state).lload(flagResult).putfield(Names.STATE, "flagResult", Names.J);
    code.aload(state).lload(flagCarries).putfield(Names.STATE, "flagCarries", Names.J);
  }

  /** Writes the exits and the common way out. */
  void leave() {
    for (Exit exit : exits) {
      code.labelBinding(exit.label);
      pushRip(exit.pageOffset);
      code.lstore(exitRip);
      code.iinc(count, exit.done);
      code.loadConstant(exit.outcome).istore(outcome);
      code.goto_(tail);
    }
    code.labelBinding(tail);
    spill();
    code.aload(state).lload(exitRip).putfield(Names.STATE, "rip", Names.J);
    addCount();
    code.iload(outcome).ireturn();
  }

  private void addCount() {
    code.aload(state).dup().getfield(Names.STATE, "instructions", Names.J);
    code.iload(count).i2l().ladd().putfield(Names.STATE, "instructions", Names.J);
  }

  /** A label that leads out before the current instruction, which the interpreter will do. */
  Label sideExit() {
    return exitTo(current, done, CompiledCode.INTERPRET);
  }

  /**
   * A label that leads out to a place in the page, {@code retired} instructions of the block being
   * done.
   */
  Label exitTo(int pageOffset, int retired, int how) {
    Label label = code.newLabel();
    exits.add(new Exit(label, pageOffset, retired, how));
    return label;
  }

  /** Leaves to the address in {@link #exitRip}, the block's instructions all done. */
  void leaveToExitRip(int retired) {
    code.iinc(count, retired);
    code.loadConstant(CompiledCode.CONTINUE).istore(outcome);
    code.goto_(tail);
  }

  /** Leaves to the current instruction and lets the interpreter do it. */
  void leaveToInterpreter() {
    code.goto_(sideExit());
  }

  /** Does an instruction through its step, with everything in the state around it. */
  void fallback(int index) {
    spill();
    code.iinc(count, done);
    addCount();
    code.loadConstant(-done).istore(count);
    code.aload(state);
    pushRip(current);
    code.putfield(Names.STATE, "rip", Names.J);
    code.aload(0).aload(cpu).loadConstant(index);
    code.invokevirtual(Names.CODE, "fallback", Names.type(Names.V, Names.CPU, Names.I));
    reload();
    fusion = Fusion.NONE;
  }

  // ---- addresses and memory

  void pushRip(int pageOffset) {
    code.lload(ripBase);
    if (pageOffset != 0) {
      code.loadConstant((long) pageOffset).ladd();
    }
  }

  /** Pushes the linear address of the memory operand. */
  void pushAddress(Instruction instruction) {
    pushEffectiveAddress(instruction);
    if (instruction.segment() >= CpuState.FS) {
      code.aload(state).getfield(Names.STATE, "segmentBase", Names.LONG_ARRAY);
      code.loadConstant(instruction.segment()).laload().ladd();
    }
  }

  void pushEffectiveAddress(Instruction instruction) {
    long displacement = instruction.displacement();
    boolean pushed = false;
    if (instruction.ripRelative()) {
      code.lload(ripBase);
      displacement += current + instruction.length();
      pushed = true;
    } else if (instruction.base() < 16) {
      code.lload(registers[instruction.base()]);
      pushed = true;
    }
    if (instruction.index() < 16) {
      code.lload(registers[instruction.index()]);
      if (instruction.scaleShift() != 0) {
        code.loadConstant(instruction.scaleShift()).lshl();
      }
      if (pushed) {
        code.ladd();
      }
      pushed = true;
    }
    if (displacement != 0 || !pushed) {
      code.loadConstant(displacement);
      if (pushed) {
        code.ladd();
      }
    }
    if (instruction.addressBytes() == 4) {
      code.loadConstant(0xFFFF_FFFFL).land();
    }
  }

  /** Takes a linear address from the stack and leaves its offset in {@link #offset}, or exits. */
  void locate(int sizeBytes, boolean write) {
    code.aload(cpu).dup_x2().pop();
    code.loadConstant(sizeBytes - 1);
    code.invokevirtual(
        Names.CPU, write ? "writeOffset" : "readOffset", Names.type(Names.J, Names.J, Names.I));
    code.dup2().lstore(offset).lconst_0().lcmp().iflt(sideExit());
  }

  /**
   * Pushes what lies at {@link #offset}: a long for 8 bytes, else an int, zero-extended below 4
   * bytes.
   */
  void pushMemory(int sizeBytes) {
    code.aload(memory).lload(offset);
    switch (sizeBytes) {
      case 8 -> code.invokevirtual(Names.MEMORY, "getLong", Names.type(Names.J, Names.J));
      case 4 -> code.invokevirtual(Names.MEMORY, "getInt", Names.type(Names.I, Names.J));
      case 2 -> {
        code.invokevirtual(
            Names.MEMORY,
            "getShort",
            Names.type(java.lang.constant.ConstantDescs.CD_short, Names.J));
        code.loadConstant(0xFFFF).iand();
      }
      default -> {
        code.invokevirtual(
            Names.MEMORY, "getByte", Names.type(java.lang.constant.ConstantDescs.CD_byte, Names.J));
        code.loadConstant(0xFF).iand();
      }
    }
  }

  /** Stores a local at {@link #offset}: a long local for 8 bytes, else an int local. */
  void storeMemory(int sizeBytes, int local) {
    code.aload(memory).lload(offset);
    switch (sizeBytes) {
      case 8 ->
          code.lload(local)
              .invokevirtual(Names.MEMORY, "putLong", Names.type(Names.V, Names.J, Names.J));
      case 4 ->
          code.iload(local)
              .invokevirtual(Names.MEMORY, "putInt", Names.type(Names.V, Names.J, Names.I));
      case 2 ->
          code.iload(local)
              .i2s()
              .invokevirtual(
                  Names.MEMORY,
                  "putShort",
                  Names.type(Names.V, Names.J, java.lang.constant.ConstantDescs.CD_short));
      default ->
          code.iload(local)
              .i2b()
              .invokevirtual(
                  Names.MEMORY,
                  "putByte",
                  Names.type(Names.V, Names.J, java.lang.constant.ConstantDescs.CD_byte));
    }
  }

  // ---- registers

  int local(int register) {
    return registers[register];
  }

  /** Pushes a general register: a long for 8 bytes, else an int, zero-extended below 4 bytes. */
  void pushRegister(Operand operand) {
    code.lload(registers[operand.register()]);
    switch (operand.sizeBytes()) {
      case 8 -> {}
      case 4 -> code.l2i();
      case 2 -> code.l2i().loadConstant(0xFFFF).iand();
      default -> {
        code.l2i();
        if (operand.kind() == Operand.Kind.HIGH_BYTE) {
          code.bipush(8).iushr();
        }
        code.loadConstant(0xFF).iand();
      }
    }
  }

  /** Writes a general register from a long local (8 bytes) or an int local. */
  void storeRegister(Operand operand, int local) {
    int register = registers[operand.register()];
    switch (operand.sizeBytes()) {
      case 8 -> code.lload(local).lstore(register);
      case 4 -> code.iload(local).i2l().loadConstant(0xFFFF_FFFFL).land().lstore(register);
      case 2 -> merge(register, local, 0xFFFFL, 0);
      default -> {
        boolean high = operand.kind() == Operand.Kind.HIGH_BYTE;
        merge(register, local, 0xFFL, high ? 8 : 0);
      }
    }
  }

  private void merge(int register, int local, long mask, int shift) {
    code.lload(register).loadConstant(~(mask << shift)).land();
    code.iload(local).i2l().loadConstant(mask).land();
    if (shift != 0) {
      code.bipush(shift).lshl();
    }
    code.lor().lstore(register);
  }
}
