package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;

/** LOCKed forms, XCHG with memory, CMPXCHG, XADD, CMPXCHG8B and CMPXCHG16B. */
final class AtomicSteps {
  private AtomicSteps() {}

  /** A read-modify-write of memory that other processors see as one access. */
  private abstract static class Locked extends Step {
    final Address address;
    final int size;

    Locked(Operands operands) {
      this.address = operands.address();
      this.size = operands.operand(0).sizeBytes();
    }

    abstract long result(InterpretedCpu cpu, long old);

    abstract void flags(InterpretedCpu cpu, long old);

    @Override
    final void run(InterpretedCpu cpu) {
      long linear = address.linear(cpu, size, true);
      long old;
      do {
        old = cpu.loadForUpdate(linear, size);
      } while (!cpu.compareAndSet(linear, size, old, result(cpu, old)));
      flags(cpu, old);
    }
  }

  static final class Binary extends Locked {
    private final int operation;
    private final Place from;

    Binary(Operands operands, int operation) {
      super(operands);
      this.operation = operation;
      this.from = operands.place(1);
    }

    @Override
    long result(InterpretedCpu cpu, long old) {
      return Arithmetic.result(operation, old, from.get(cpu), cpu.state.carry());
    }

    @Override
    void flags(InterpretedCpu cpu, long old) {
      Arithmetic.apply(operation, cpu.state, old, from.get(cpu), size);
    }
  }

  static final class Count extends Locked {
    private final boolean up;

    Count(Operands operands, boolean up) {
      super(operands);
      this.up = up;
    }

    @Override
    long result(InterpretedCpu cpu, long old) {
      return up ? old + 1 : old - 1;
    }

    @Override
    void flags(InterpretedCpu cpu, long old) {
      ArithmeticSteps.countFlags(cpu.state, old, Alu.signExtend(result(cpu, old), size), size, up);
    }
  }

  static final class Negate extends Locked {
    Negate(Operands operands) {
      super(operands);
    }

    @Override
    long result(InterpretedCpu cpu, long old) {
      return -old;
    }

    @Override
    void flags(InterpretedCpu cpu, long old) {
      Arithmetic.apply(Arithmetic.SUB, cpu.state, 0, old, size);
    }
  }

  static final class Complement extends Locked {
    Complement(Operands operands) {
      super(operands);
    }

    @Override
    long result(InterpretedCpu cpu, long old) {
      return ~old;
    }

    @Override
    void flags(InterpretedCpu cpu, long old) {}
  }

  /** XCHG with memory locks the bus with or without the prefix. */
  static final class Exchange extends Locked {
    private final Place register;

    Exchange(Operands operands) {
      super(operands);
      this.register = operands.place(1);
    }

    @Override
    long result(InterpretedCpu cpu, long old) {
      return register.get(cpu);
    }

    @Override
    void flags(InterpretedCpu cpu, long old) {
      register.set(cpu, old);
    }
  }

  static Step exchangeAdd(Operands operands) {
    Place source = operands.place(1);
    if (operands.operand(0).isMemory()) {
      return new Locked(operands) {
        @Override
        long result(InterpretedCpu cpu, long old) {
          return old + source.get(cpu);
        }

        @Override
        void flags(InterpretedCpu cpu, long old) {
          long b = source.get(cpu);
          source.set(cpu, old);
          Arithmetic.apply(Arithmetic.ADD, cpu.state, old, b, size);
        }
      };
    }
    Place destination = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = destination.get(cpu);
        long b = source.get(cpu);
        source.set(cpu, a);
        destination.set(cpu, a + b);
        Arithmetic.apply(Arithmetic.ADD, cpu.state, a, b, destination.size);
      }
    };
  }

  static Step compareExchange(Operands operands) {
    Place source = operands.place(1);
    int size = operands.operand(0).sizeBytes();
    if (!operands.operand(0).isMemory()) {
      Place destination = operands.place(0);
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          long old = destination.get(cpu);
          long expected = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
          if (old == expected) {
            destination.set(cpu, source.get(cpu));
          } else {
            cpu.setGeneral(CpuState.RAX, size, old);
          }
          Arithmetic.apply(Arithmetic.CMP, cpu.state, expected, old, size);
        }
      };
    }
    Address address = operands.address();
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long linear = address.linear(cpu, size, true);
        long expected = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        long value = source.get(cpu);
        while (true) {
          long old = cpu.loadForUpdate(linear, size);
          if (old != expected) {
            cpu.setGeneral(CpuState.RAX, size, old);
            Arithmetic.apply(Arithmetic.CMP, cpu.state, expected, old, size);
            return;
          }
          if (cpu.compareAndSet(linear, size, expected, value)) {
            Arithmetic.apply(Arithmetic.CMP, cpu.state, expected, old, size);
            return;
          }
        }
      }
    };
  }

  /** CMPXCHG8B, and CMPXCHG16B with REX.W. */
  static Step compareExchangePair(Operands operands) {
    Address address = operands.address();
    return operands.instruction().rexW() ? new Pair16(address) : new Pair8(address);
  }

  private static final class Pair8 extends Step {
    private final Address address;

    Pair8(Address address) {
      this.address = address;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long[] general = cpu.general;
      long linear = address.linear(cpu, 8, true);
      long expected = general[CpuState.RAX] & 0xFFFF_FFFFL | general[CpuState.RDX] << 32;
      long value = general[CpuState.RBX] & 0xFFFF_FFFFL | general[CpuState.RCX] << 32;
      while (true) {
        long old = cpu.loadForUpdate(linear, 8);
        if (old != expected) {
          general[CpuState.RAX] = old & 0xFFFF_FFFFL;
          general[CpuState.RDX] = old >>> 32;
          setZero(cpu.state, false);
          return;
        }
        if (cpu.compareAndSet(linear, 8, expected, value)) {
          setZero(cpu.state, true);
          return;
        }
      }
    }
  }

  private static final class Pair16 extends Step {
    private final Address address;

    Pair16(Address address) {
      this.address = address;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long linear = address.linear(cpu, 16, true);
      if ((linear & 15) != 0) {
        throw cpu.generalProtection(0);
      }
      cpu.probeWrite(linear, 8);
      if (cpu.singleProcessor()) {
        exchange(cpu, linear);
      } else {
        cpu.exclusively(() -> exchange(cpu, linear));
      }
    }

    private static void exchange(InterpretedCpu cpu, long linear) {
      long[] general = cpu.general;
      long low = cpu.load64(linear);
      long high = cpu.load64(linear + 8);
      boolean equal = low == general[CpuState.RAX] && high == general[CpuState.RDX];
      if (equal) {
        cpu.store64(linear, general[CpuState.RBX]);
        cpu.store64(linear + 8, general[CpuState.RCX]);
      } else {
        general[CpuState.RAX] = low;
        general[CpuState.RDX] = high;
      }
      setZero(cpu.state, equal);
    }
  }

  /** Changes ZF alone. */
  static void setZero(CpuState state, boolean zero) {
    int flags = state.arithmeticFlags();
    state.setArithmeticFlags(zero ? flags | CpuState.ZF : flags & ~CpuState.ZF);
  }
}
