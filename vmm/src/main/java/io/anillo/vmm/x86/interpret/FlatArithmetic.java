package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;
import org.jspecify.annotations.Nullable;

/** Arithmetic with a memory operand in 64-bit code. */
final class FlatArithmetic {
  private FlatArithmetic() {}

  /** A step for one of the eight operations, or null when the operands are of another kind. */
  static @Nullable Step binary(Operands operands, int operation) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    if (!FlatStep.fits(operands)) {
      return null;
    }
    int size = to.sizeBytes();
    if (to.isMemory()) {
      if (operation == Arithmetic.CMP) {
        return from.isImmediate()
            ? new CompareConstant(operands, size, operands.instruction().immediate())
            : new CompareMemory(operands, size, operands.place(1));
      }
      return new ToMemory(operands, operation, size, operands.place(1));
    }
    if (to.isGeneral() && from.isMemory() && size >= 4) {
      if (operation == Arithmetic.CMP) {
        return new CompareRegister(operands, size, to.register());
      }
      return size == 8
          ? new FromMemory64(operands, operation, to.register())
          : new FromMemory32(operands, operation, to.register());
    }
    return null;
  }

  /** TEST of memory with an immediate. */
  static Step testConstant(Operands operands, int size, long value) {
    return new TestConstant(operands, size, value);
  }

  private static final class FromMemory64 extends FlatStep {
    private final int operation;
    private final int to;

    FromMemory64(Operands operands, int operation, int to) {
      super(operands);
      this.operation = operation;
      this.to = to;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long b = cpu.load64(linear(cpu));
      cpu.general[to] = Arithmetic.apply64(operation, cpu.state, cpu.general[to], b);
    }
  }

  private static final class FromMemory32 extends FlatStep {
    private final int operation;
    private final int to;

    FromMemory32(Operands operands, int operation, int to) {
      super(operands);
      this.operation = operation;
      this.to = to;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int b = cpu.load32(linear(cpu));
      cpu.general[to] =
          Arithmetic.apply32(operation, cpu.state, (int) cpu.general[to], b) & 0xFFFF_FFFFL;
    }
  }

  private static final class ToMemory extends FlatStep {
    private final int operation;
    private final int size;
    private final Place from;

    ToMemory(Operands operands, int operation, int size, Place from) {
      super(operands);
      this.operation = operation;
      this.size = size;
      this.from = from;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long b = from.get(cpu);
      long linear = linear(cpu);
      long a = cpu.loadForUpdate(linear, size);
      // The store may fault, so it comes before the flags.
      cpu.store(linear, size, Arithmetic.result(operation, a, b, cpu.state.carry()));
      Arithmetic.apply(operation, cpu.state, a, b, size);
    }
  }

  /** A comparison of memory, alone or with the branch that follows it. */
  private abstract static class Comparing extends FlatStep {
    final int size;

    Comparing(Operands operands, int size) {
      super(operands);
      this.size = size;
    }

    final void compare(InterpretedCpu cpu, long a, long b) {
      long r = Alu.signExtend(a - b, size);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = Alu.subtractCarries(a, b, r, size);
    }
  }

  private static final class CompareConstant extends Comparing {
    private final long b;

    CompareConstant(Operands operands, int size, long value) {
      super(operands, size);
      this.b = value;
    }

    @Override
    void run(InterpretedCpu cpu) {
      compare(cpu, cpu.load(linear(cpu), size), b);
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch ? new WithBranch(this, branch) : null;
    }

    private static final class WithBranch extends Step.Last {
      private final CompareConstant comparison;
      private final Branch branch;

      WithBranch(CompareConstant comparison, Branch branch) {
        this.comparison = comparison;
        this.branch = branch;
      }

      @Override
      void run(InterpretedCpu cpu) {
        comparison.run(cpu);
        branch.decide(cpu);
      }
    }
  }

  private static final class TestConstant extends FlatStep {
    private final int size;
    private final long b;

    TestConstant(Operands operands, int size, long value) {
      super(operands);
      this.size = size;
      this.b = value;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.state.flagResult = Alu.signExtend(cpu.load(linear(cpu), size) & b, size);
      cpu.state.flagCarries = 0;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch ? new WithBranch(this, branch) : null;
    }

    private static final class WithBranch extends Step.Last {
      private final TestConstant comparison;
      private final Branch branch;

      WithBranch(TestConstant comparison, Branch branch) {
        this.comparison = comparison;
        this.branch = branch;
      }

      @Override
      void run(InterpretedCpu cpu) {
        comparison.run(cpu);
        branch.decide(cpu);
      }
    }
  }

  private static final class CompareMemory extends Comparing {
    private final Place second;

    CompareMemory(Operands operands, int size, Place second) {
      super(operands, size);
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      compare(cpu, cpu.load(linear(cpu), size), second.get(cpu));
    }
  }

  private static final class CompareRegister extends Comparing {
    private final int first;

    CompareRegister(Operands operands, int size, int first) {
      super(operands, size);
      this.first = first;
    }

    @Override
    void run(InterpretedCpu cpu) {
      compare(cpu, cpu.general[first], cpu.load(linear(cpu), size));
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch ? new WithBranch(this, branch) : null;
    }

    private static final class WithBranch extends Step.Last {
      private final CompareRegister comparison;
      private final Branch branch;

      WithBranch(CompareRegister comparison, Branch branch) {
        this.comparison = comparison;
        this.branch = branch;
      }

      @Override
      void run(InterpretedCpu cpu) {
        comparison.run(cpu);
        branch.decide(cpu);
      }
    }
  }
}
