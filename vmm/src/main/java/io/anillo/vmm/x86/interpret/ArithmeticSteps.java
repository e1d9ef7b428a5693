package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;

/** ADD, OR, ADC, SBB, AND, SUB, XOR, CMP and TEST; INC, DEC, NEG, NOT. */
final class ArithmeticSteps {
  private ArithmeticSteps() {}

  static Step binary(Operands operands, int operation) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (operands.instruction().locked()) {
      return new AtomicSteps.Binary(operands, operation);
    }
    boolean writes = operation != Arithmetic.CMP;
    if (operands.code64() && to.sizeBytes() >= 4) {
      boolean wide = to.sizeBytes() == 8;
      if (to.isGeneral() && from.isGeneral()) {
        if (!writes) {
          return wide
              ? new CompareRegisters64(to.register(), from.register())
              : new CompareRegisters32(to.register(), from.register());
        }
        return wide
            ? new Registers64(operation, to.register(), from.register())
            : new Registers32(operation, to.register(), from.register());
      }
      if (to.isGeneral() && from.isImmediate()) {
        long immediate = operands.instruction().immediate();
        if (!writes) {
          return wide
              ? new CompareImmediate64(to.register(), immediate)
              : new CompareImmediate32(to.register(), (int) immediate);
        }
        return wide
            ? new Immediate64(operation, to.register(), immediate)
            : new Immediate32(operation, to.register(), (int) immediate);
      }
      if (to.isGeneral() && from.isMemory()) {
        return wide
            ? new FromMemory64(operation, to.register(), operands.address(), writes)
            : new FromMemory32(operation, to.register(), operands.address(), writes);
      }
    }
    return writes
        ? new General(operation, operands.place(0), operands.place(1))
        : new GeneralCompare(operands.place(0), operands.place(1));
  }

  static Step test(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (to.isGeneral() && from.isGeneral() && to.sizeBytes() >= 4) {
      int a = to.register();
      int b = from.register();
      if (to.sizeBytes() == 8) {
        return new Step() {
          @Override
          void run(InterpretedCpu cpu) {
            cpu.state.flagResult = cpu.general[a] & cpu.general[b];
            cpu.state.flagCarries = 0;
          }
        };
      }
      return new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          cpu.state.flagResult = (int) cpu.general[a] & (int) cpu.general[b];
          cpu.state.flagCarries = 0;
        }
      };
    }
    Place first = operands.place(0);
    Place second = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.state.flagResult = Alu.signExtend(first.get(cpu) & second.get(cpu), first.size);
        cpu.state.flagCarries = 0;
      }
    };
  }

  /** INC and DEC. */
  static Step count(Operands operands, boolean up) {
    if (operands.instruction().locked()) {
      return new AtomicSteps.Count(operands, up);
    }
    Place place = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = place.getForUpdate(cpu);
        long r = Alu.signExtend(up ? a + 1 : a - 1, place.size);
        place.update(cpu, r);
        countFlags(cpu.state, a, r, place.size, up);
      }
    };
  }

  static void countFlags(CpuState state, long a, long r, int size, boolean up) {
    long carries = up ? Alu.addCarries(a, 1, r, size) : Alu.subtractCarries(a, 1, r, size);
    state.flagCarries = Alu.keepCarry(carries, state.flagCarries);
    state.flagResult = r;
  }

  static Step negate(Operands operands) {
    if (operands.instruction().locked()) {
      return new AtomicSteps.Negate(operands);
    }
    Place place = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = place.getForUpdate(cpu);
        long r = Alu.signExtend(-a, place.size);
        place.update(cpu, r);
        cpu.state.flagResult = r;
        cpu.state.flagCarries = Alu.subtractCarries(0, a, r, place.size);
      }
    };
  }

  static Step complement(Operands operands) {
    if (operands.instruction().locked()) {
      return new AtomicSteps.Complement(operands);
    }
    Place place = operands.place(0);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        place.update(cpu, ~place.getForUpdate(cpu));
      }
    };
  }

  private static final class Registers64 extends Step {
    private final int operation;
    private final int to;
    private final int from;

    Registers64(int operation, int to, int from) {
      this.operation = operation;
      this.to = to;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long[] general = cpu.general;
      general[to] = Arithmetic.apply64(operation, cpu.state, general[to], general[from]);
    }
  }

  private static final class Registers32 extends Step {
    private final int operation;
    private final int to;
    private final int from;

    Registers32(int operation, int to, int from) {
      this.operation = operation;
      this.to = to;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long[] general = cpu.general;
      general[to] =
          Arithmetic.apply32(operation, cpu.state, (int) general[to], (int) general[from])
              & 0xFFFF_FFFFL;
    }
  }

  private static final class Immediate64 extends Step {
    private final int operation;
    private final int to;
    private final long immediate;

    Immediate64(int operation, int to, long immediate) {
      this.operation = operation;
      this.to = to;
      this.immediate = immediate;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.general[to] = Arithmetic.apply64(operation, cpu.state, cpu.general[to], immediate);
    }
  }

  private static final class Immediate32 extends Step {
    private final int operation;
    private final int to;
    private final int immediate;

    Immediate32(int operation, int to, int immediate) {
      this.operation = operation;
      this.to = to;
      this.immediate = immediate;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.general[to] =
          Arithmetic.apply32(operation, cpu.state, (int) cpu.general[to], immediate) & 0xFFFF_FFFFL;
    }
  }

  private static final class CompareRegisters64 extends Step {
    private final int first;
    private final int second;

    CompareRegisters64(int first, int second) {
      this.first = first;
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = cpu.general[second];
      long r = a - b;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = Alu.subtractCarries64(a, b, r);
    }
  }

  private static final class CompareRegisters32 extends Step {
    private final int first;
    private final int second;

    CompareRegisters32(int first, int second) {
      this.first = first;
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int a = (int) cpu.general[first];
      int b = (int) cpu.general[second];
      int r = a - b;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = Alu.subtractCarries32(a, b, r);
    }
  }

  private static final class CompareImmediate64 extends Step {
    private final int first;
    private final long b;

    CompareImmediate64(int first, long immediate) {
      this.first = first;
      this.b = immediate;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long r = a - b;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = Alu.subtractCarries64(a, b, r);
    }
  }

  private static final class CompareImmediate32 extends Step {
    private final int first;
    private final int b;

    CompareImmediate32(int first, int immediate) {
      this.first = first;
      this.b = immediate;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int a = (int) cpu.general[first];
      int r = a - b;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = Alu.subtractCarries32(a, b, r);
    }
  }

  private static final class FromMemory64 extends Step {
    private final int operation;
    private final int to;
    private final Address address;
    private final boolean writes;

    FromMemory64(int operation, int to, Address address, boolean writes) {
      this.operation = operation;
      this.to = to;
      this.address = address;
      this.writes = writes;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long b = cpu.load64(address.linear(cpu, 8, false));
      long r = Arithmetic.apply64(operation, cpu.state, cpu.general[to], b);
      if (writes) {
        cpu.general[to] = r;
      }
    }
  }

  private static final class FromMemory32 extends Step {
    private final int operation;
    private final int to;
    private final Address address;
    private final boolean writes;

    FromMemory32(int operation, int to, Address address, boolean writes) {
      this.operation = operation;
      this.to = to;
      this.address = address;
      this.writes = writes;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int b = cpu.load32(address.linear(cpu, 4, false));
      int r = Arithmetic.apply32(operation, cpu.state, (int) cpu.general[to], b);
      if (writes) {
        cpu.general[to] = r & 0xFFFF_FFFFL;
      }
    }
  }

  private static final class General extends Step {
    private final int operation;
    private final Place to;
    private final Place from;

    General(int operation, Place to, Place from) {
      this.operation = operation;
      this.to = to;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long b = from.get(cpu);
      long a = to.getForUpdate(cpu);
      // The store may fault, so it comes before the flags.
      to.update(cpu, Arithmetic.result(operation, a, b, cpu.state.carry()));
      Arithmetic.apply(operation, cpu.state, a, b, to.size);
    }
  }

  private static final class GeneralCompare extends Step {
    private final Place first;
    private final Place second;

    GeneralCompare(Place first, Place second) {
      this.first = first;
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = first.get(cpu);
      long b = second.get(cpu);
      Arithmetic.apply(Arithmetic.CMP, cpu.state, a, b, first.size);
    }
  }
}
