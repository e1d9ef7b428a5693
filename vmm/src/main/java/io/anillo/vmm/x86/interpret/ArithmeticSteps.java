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
    if (operands.code64()) {
      Step step =
          writes ? RegisterArithmetic.binary(operands, operation) : Comparisons.compare(operands);
      if (step == null && (to.isMemory() || from.isMemory())) {
        step = FlatArithmetic.binary(operands, operation);
      }
      if (step != null) {
        return step;
      }
    }
    return writes
        ? new General(operation, operands.place(0), operands.place(1))
        : new GeneralCompare(operands.place(0), operands.place(1));
  }

  static Step test(Operands operands) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (operands.code64()) {
      Step step = Comparisons.test(operands);
      if (step != null) {
        return step;
      }
      if (to.isMemory() && from.isImmediate() && FlatStep.fits(operands)) {
        return FlatArithmetic.testConstant(
            operands, to.sizeBytes(), operands.instruction().immediate());
      }
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
    Operand operand = operands.operand(0);
    if (operand.isGeneral() && operand.sizeBytes() >= 4) {
      return RegisterArithmetic.count(operand.register(), operand.sizeBytes(), up);
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
