package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.system.SegmentLoader;

/** PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE. */
final class StackSteps {
  private static final int PUSHF_MASK = ~(CpuState.RF | CpuState.VM);

  private StackSteps() {}

  // ---- the stack in any mode

  /** Pushes at the current privilege; nothing has changed when it faults. */
  static void push(InterpretedCpu cpu, int size, long value) {
    int width = cpu.stackBytes();
    long pointer = cpu.general[CpuState.RSP] - size;
    cpu.store(cpu.stackAddress(pointer, size, true), size, value);
    cpu.setGeneral(CpuState.RSP, width, pointer);
  }

  /** Faults as {@link #push} would. */
  static void probePush(InterpretedCpu cpu, int size) {
    long pointer = cpu.general[CpuState.RSP] - size;
    cpu.probeWrite(cpu.stackAddress(pointer, size, true), size);
  }

  /** Reads {@code distance} bytes above the stack pointer. */
  static long peek(InterpretedCpu cpu, int size, int distance) {
    return cpu.load(cpu.stackAddress(cpu.general[CpuState.RSP] + distance, size, false), size);
  }

  static void release(InterpretedCpu cpu, int bytes) {
    cpu.setGeneral(CpuState.RSP, cpu.stackBytes(), cpu.general[CpuState.RSP] + bytes);
  }

  static long pop(InterpretedCpu cpu, int size) {
    long value = peek(cpu, size, 0);
    release(cpu, size);
    return value;
  }

  // ---- steps

  static Step push(Operands operands) {
    Operand operand = operands.operand(0);
    int size = operands.operandBytes();
    if (operands.code64() && size == 8) {
      if (operand.isGeneral()) {
        int register = operand.register();
        return new Step() {
          @Override
          void run(InterpretedCpu cpu) {
            long pointer = cpu.general[CpuState.RSP] - 8;
            cpu.store64(pointer, cpu.general[register]);
            cpu.general[CpuState.RSP] = pointer;
          }
        };
      }
    }
    Place source =
        operand.isImmediate()
            ? new Place.Constant(operands.instruction().immediate(), size)
            : operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        push(cpu, size, source.get(cpu));
      }
    };
  }

  static Step pop(Operands operands) {
    Operand operand = operands.operand(0);
    int size = operands.operandBytes();
    if (operand.isGeneral()) {
      int register = operand.register();
      if (operands.code64() && size == 8) {
        return new Step() {
          @Override
          void run(InterpretedCpu cpu) {
            long pointer = cpu.general[CpuState.RSP];
            long value = cpu.load64(pointer);
            cpu.general[CpuState.RSP] = pointer + 8;
            cpu.general[register] = value;
          }
        };
      }
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          long value = pop(cpu, size);
          cpu.setGeneral(register, size, value);
        }
      };
    }
    Address address = operands.address();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        // The address of the destination is computed with the stack pointer already moved.
        long saved = cpu.general[CpuState.RSP];
        long value = pop(cpu, size);
        try {
          cpu.store(address.linear(cpu, size, true), size, value);
        } catch (io.anillo.vmm.x86.execute.GuestFault fault) {
          cpu.general[CpuState.RSP] = saved;
          throw fault;
        }
      }
    };
  }

  static Step pushSegment(Operands operands) {
    int segment = operands.operand(0).register();
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        // All bytes are written, as AMD's processors do; Intel's write 16 bits.
        push(cpu, size, cpu.state.segmentSelector[segment]);
      }
    };
  }

  static Step popSegment(Operands operands) {
    int segment = operands.operand(0).register();
    int size = operands.operandBytes();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        int selector = (int) peek(cpu, 2, 0);
        long pointer = cpu.general[CpuState.RSP];
        int width = cpu.stackBytes();
        SegmentLoader.load(cpu, segment, selector);
        cpu.setGeneral(CpuState.RSP, width, pointer + size);
        if (segment == CpuState.SS) {
          cpu.stackSegmentLoaded();
        }
        cpu.modeChanged();
      }
    };
  }

  static Step pushAll(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long pointer = cpu.general[CpuState.RSP];
        // All eight are probed first, so that a fault leaves nothing written.
        for (int i = 1; i <= 8; i++) {
          cpu.probeWrite(cpu.stackAddress(pointer - i * size, size, true), size);
        }
        for (int i = 0; i < 8; i++) {
          cpu.store(
              cpu.stackAddress(pointer - (i + 1) * size, size, true),
              size,
              cpu.general[i == 4 ? CpuState.RSP : i]);
        }
        cpu.setGeneral(CpuState.RSP, cpu.stackBytes(), pointer - 8 * size);
      }
    };
  }

  static Step popAll(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        peek(cpu, size, 7 * size);
        for (int i = 7; i >= 0; i--) {
          long value = peek(cpu, size, 0);
          release(cpu, size);
          if (i != CpuState.RSP) {
            cpu.setGeneral(i, size, value);
          }
        }
      }
    };
  }

  static Step pushFlags(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        CpuState state = cpu.state;
        if (state.virtual8086() && (state.systemFlags & CpuState.IOPL) != CpuState.IOPL) {
          throw cpu.generalProtection(0);
        }
        push(cpu, size, state.rflags() & PUSHF_MASK);
      }
    };
  }

  static Step popFlags(Operands operands) {
    int size = operands.operandBytes();
    return new Step.Last() {
      @Override
      void run(InterpretedCpu cpu) {
        CpuState state = cpu.state;
        boolean virtual8086 = state.virtual8086();
        if (virtual8086 && (state.systemFlags & CpuState.IOPL) != CpuState.IOPL) {
          throw cpu.generalProtection(0);
        }
        int popped = (int) pop(cpu, size);
        int changeable =
            CpuState.ARITHMETIC_FLAGS
                | CpuState.TF
                | CpuState.DF
                | CpuState.NT
                | CpuState.AC
                | CpuState.ID;
        int ioPrivilege = (state.systemFlags & CpuState.IOPL) >> 12;
        if (state.privilege == 0) {
          changeable |= CpuState.IOPL;
        }
        if (state.privilege <= ioPrivilege || !state.protectedMode()) {
          changeable |= CpuState.IF;
        }
        if (size == 2) {
          changeable &= 0xFFFF;
        }
        int kept = state.rflags() & ~changeable & ~CpuState.RF;
        cpu.setFlags(kept | popped & changeable);
      }
    };
  }

  static Step enter(Operands operands) {
    int locals = (int) operands.instruction().immediate();
    int level = operands.instruction().immediate2() & 31;
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long[] general = cpu.general;
        int width = cpu.stackBytes();
        long savedPointer = general[CpuState.RSP];
        long savedBase = general[CpuState.RBP];
        try {
          push(cpu, size, savedBase);
          long frame = general[CpuState.RSP];
          for (int i = 1; i < level; i++) {
            cpu.setGeneral(CpuState.RBP, width, general[CpuState.RBP] - size);
            push(cpu, size, cpu.load(cpu.stackAddress(general[CpuState.RBP], size, false), size));
          }
          if (level > 0) {
            push(cpu, size, frame);
          }
          long pointer = general[CpuState.RSP] - locals;
          cpu.probeWrite(cpu.stackAddress(pointer, size, true), size);
          cpu.setGeneral(CpuState.RSP, width, pointer);
          general[CpuState.RBP] = savedBase;
          cpu.setGeneral(CpuState.RBP, size, frame);
        } catch (io.anillo.vmm.x86.execute.GuestFault fault) {
          general[CpuState.RSP] = savedPointer;
          general[CpuState.RBP] = savedBase;
          throw fault;
        }
      }
    };
  }

  static Step leave(Operands operands) {
    int size = operands.operandBytes();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int width = cpu.stackBytes();
        long frame = cpu.general[CpuState.RBP];
        long value = cpu.load(cpu.stackAddress(frame, size, false), size);
        cpu.setGeneral(CpuState.RSP, width, frame + size);
        cpu.setGeneral(CpuState.RBP, size, value);
      }
    };
  }
}
