package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;
import org.jspecify.annotations.Nullable;

/**
 * CMP and TEST of registers and immediates: alone, or together with the Jcc that follows, which
 * spares a dispatch where one is dearest.
 */
final class Comparisons {
  private Comparisons() {}

  /** A step for CMP, or null when the operands are of another kind. */
  static @Nullable Step compare(Operands operands) {
    Operand first = operands.operand(0);
    Operand second = operands.operand(1);
    if (!first.isGeneral()) {
      return null;
    }
    int a = first.register();
    int size = first.sizeBytes();
    if (second.isGeneral()) {
      int b = second.register();
      return switch (size) {
        case 8 -> new CompareRegisters64(a, b);
        case 4 -> new CompareRegisters32(a, b);
        default -> new CompareRegistersNarrow(a, b, size);
      };
    }
    if (second.isImmediate()) {
      long b = operands.instruction().immediate();
      return switch (size) {
        case 8 -> new CompareConstant64(a, b);
        case 4 -> new CompareConstant32(a, (int) b);
        default -> new CompareConstantNarrow(a, b, size);
      };
    }
    return null;
  }

  /** A step for TEST, or null when the operands are of another kind. */
  static @Nullable Step test(Operands operands) {
    Operand first = operands.operand(0);
    Operand second = operands.operand(1);
    if (!first.isGeneral()) {
      return null;
    }
    int a = first.register();
    int size = first.sizeBytes();
    if (second.isGeneral()) {
      int b = second.register();
      return switch (size) {
        case 8 -> new TestRegisters64(a, b);
        case 4 -> new TestRegisters32(a, b);
        default -> new TestRegistersNarrow(a, b, size);
      };
    }
    if (second.isImmediate()) {
      return new TestConstant(a, operands.instruction().immediate(), size);
    }
    return null;
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
      long carries = Alu.subtractCarries64(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareRegisters64Branch(first, second, branch)
          : null;
    }
  }

  private static final class CompareRegisters64Branch extends Step.Last {
    private final int first;
    private final int second;
    private final Branch branch;

    CompareRegisters64Branch(int first, int second, Branch branch) {
      this.first = first;
      this.second = second;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = cpu.general[second];
      long r = a - b;
      long carries = Alu.subtractCarries64(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class CompareConstant64 extends Step {
    private final int first;
    private final long constant;

    CompareConstant64(int first, long constant) {
      this.first = first;
      this.constant = constant;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = constant;
      long r = a - b;
      long carries = Alu.subtractCarries64(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareConstant64Branch(first, constant, branch)
          : null;
    }
  }

  private static final class CompareConstant64Branch extends Step.Last {
    private final int first;
    private final long constant;
    private final Branch branch;

    CompareConstant64Branch(int first, long constant, Branch branch) {
      this.first = first;
      this.constant = constant;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = constant;
      long r = a - b;
      long carries = Alu.subtractCarries64(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class TestRegisters64 extends Step {
    private final int first;
    private final int second;

    TestRegisters64(int first, int second) {
      this.first = first;
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = cpu.general[first] & cpu.general[second];
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new TestRegisters64Branch(first, second, branch)
          : null;
    }
  }

  private static final class TestRegisters64Branch extends Step.Last {
    private final int first;
    private final int second;
    private final Branch branch;

    TestRegisters64Branch(int first, int second, Branch branch) {
      this.first = first;
      this.second = second;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = cpu.general[first] & cpu.general[second];
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
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
      long carries = Alu.subtractCarries32(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareRegisters32Branch(first, second, branch)
          : null;
    }
  }

  private static final class CompareRegisters32Branch extends Step.Last {
    private final int first;
    private final int second;
    private final Branch branch;

    CompareRegisters32Branch(int first, int second, Branch branch) {
      this.first = first;
      this.second = second;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int a = (int) cpu.general[first];
      int b = (int) cpu.general[second];
      int r = a - b;
      long carries = Alu.subtractCarries32(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class CompareConstant32 extends Step {
    private final int first;
    private final int constant;

    CompareConstant32(int first, int constant) {
      this.first = first;
      this.constant = constant;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int a = (int) cpu.general[first];
      int b = constant;
      int r = a - b;
      long carries = Alu.subtractCarries32(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareConstant32Branch(first, constant, branch)
          : null;
    }
  }

  private static final class CompareConstant32Branch extends Step.Last {
    private final int first;
    private final int constant;
    private final Branch branch;

    CompareConstant32Branch(int first, int constant, Branch branch) {
      this.first = first;
      this.constant = constant;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int a = (int) cpu.general[first];
      int b = constant;
      int r = a - b;
      long carries = Alu.subtractCarries32(a, b, r);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class TestRegisters32 extends Step {
    private final int first;
    private final int second;

    TestRegisters32(int first, int second) {
      this.first = first;
      this.second = second;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int r = (int) cpu.general[first] & (int) cpu.general[second];
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new TestRegisters32Branch(first, second, branch)
          : null;
    }
  }

  private static final class TestRegisters32Branch extends Step.Last {
    private final int first;
    private final int second;
    private final Branch branch;

    TestRegisters32Branch(int first, int second, Branch branch) {
      this.first = first;
      this.second = second;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      int r = (int) cpu.general[first] & (int) cpu.general[second];
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class CompareRegistersNarrow extends Step {
    private final int first;
    private final int second;
    private final int size;

    CompareRegistersNarrow(int first, int second, int size) {
      this.first = first;
      this.second = second;
      this.size = size;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = cpu.general[second];
      long r = Alu.signExtend(a - b, size);
      long carries = Alu.subtractCarries(a, b, r, size);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareRegistersNarrowBranch(first, second, size, branch)
          : null;
    }
  }

  private static final class CompareRegistersNarrowBranch extends Step.Last {
    private final int first;
    private final int second;
    private final int size;
    private final Branch branch;

    CompareRegistersNarrowBranch(int first, int second, int size, Branch branch) {
      this.first = first;
      this.second = second;
      this.size = size;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = cpu.general[second];
      long r = Alu.signExtend(a - b, size);
      long carries = Alu.subtractCarries(a, b, r, size);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class CompareConstantNarrow extends Step {
    private final int first;
    private final long constant;
    private final int size;

    CompareConstantNarrow(int first, long constant, int size) {
      this.first = first;
      this.constant = constant;
      this.size = size;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = constant;
      long r = Alu.signExtend(a - b, size);
      long carries = Alu.subtractCarries(a, b, r, size);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new CompareConstantNarrowBranch(first, constant, size, branch)
          : null;
    }
  }

  private static final class CompareConstantNarrowBranch extends Step.Last {
    private final int first;
    private final long constant;
    private final int size;
    private final Branch branch;

    CompareConstantNarrowBranch(int first, long constant, int size, Branch branch) {
      this.first = first;
      this.constant = constant;
      this.size = size;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long a = cpu.general[first];
      long b = constant;
      long r = Alu.signExtend(a - b, size);
      long carries = Alu.subtractCarries(a, b, r, size);
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class TestRegistersNarrow extends Step {
    private final int first;
    private final int second;
    private final int size;

    TestRegistersNarrow(int first, int second, int size) {
      this.first = first;
      this.second = second;
      this.size = size;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = Alu.signExtend(cpu.general[first] & cpu.general[second], size);
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new TestRegistersNarrowBranch(first, second, size, branch)
          : null;
    }
  }

  private static final class TestRegistersNarrowBranch extends Step.Last {
    private final int first;
    private final int second;
    private final int size;
    private final Branch branch;

    TestRegistersNarrowBranch(int first, int second, int size, Branch branch) {
      this.first = first;
      this.second = second;
      this.size = size;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = Alu.signExtend(cpu.general[first] & cpu.general[second], size);
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }

  private static final class TestConstant extends Step {
    private final int first;
    private final long constant;
    private final int size;

    TestConstant(int first, long constant, int size) {
      this.first = first;
      this.constant = constant;
      this.size = size;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = Alu.signExtend(cpu.general[first] & constant, size);
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
    }

    @Override
    @Nullable Step fuse(Step next) {
      return next instanceof Branch branch
          ? new TestConstantBranch(first, constant, size, branch)
          : null;
    }
  }

  private static final class TestConstantBranch extends Step.Last {
    private final int first;
    private final long constant;
    private final int size;
    private final Branch branch;

    TestConstantBranch(int first, long constant, int size, Branch branch) {
      this.first = first;
      this.constant = constant;
      this.size = size;
      this.branch = branch;
    }

    @Override
    void run(InterpretedCpu cpu) {
      long r = Alu.signExtend(cpu.general[first] & constant, size);
      long carries = 0;
      cpu.state.flagResult = r;
      cpu.state.flagCarries = carries;
      branch.decide(cpu, r, carries);
    }
  }
}
