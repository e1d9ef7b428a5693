package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.simd.SimdOperation;
import io.anillo.vmm.x86.execute.simd.SimdUnit;

/** MMX and SSE: brings operands to {@link SimdUnit} and results to where they go. */
final class SimdSteps {
  private SimdSteps() {}

  static Step compile(Operands operands) {
    SimdOperation operation = SimdOperation.valueOf(operands.instruction().operation().name());
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    Step hot = HotSimd.compile(operands, operation);
    if (hot != null) {
      return hot;
    }
    int form = 0;
    if (to.kind() == Operand.Kind.MMX || from.kind() == Operand.Kind.MMX) {
      form |= SimdUnit.FORM_MMX;
    }
    if (to.isMemory() || from.isMemory()) {
      form |= SimdUnit.FORM_MEMORY;
    }
    if (operands.instruction().rexW()) {
      form |= SimdUnit.FORM_WIDE;
    }
    if (operation == SimdOperation.EMMS) {
      return new Empty(form);
    }
    if (operation == SimdOperation.MASKMOVQ || operation == SimdOperation.MASKMOVDQU) {
      return new MaskedStore(operands, operation, form);
    }
    if (to.isMemory()) {
      return operation.shape() == SimdOperation.Shape.GENERAL
          ? new ExtractToMemory(operands, operation, form)
          : new Store(operands, operation, form);
    }
    if (to.isGeneral()) {
      return new ToGeneral(operands, operation, form);
    }
    if (from.isMemory()) {
      return new FromMemory(operands, operation, form);
    }
    if (from.isImmediate()) {
      return new ShiftByImmediate(operands, operation, form);
    }
    return from.isGeneral()
        ? new FromGeneral(operands, operation, form)
        : new FromRegister(operands, operation, form);
  }

  private abstract static class SimdStep extends Step {
    final SimdOperation operation;
    final int form;
    final int to;
    final int from;
    final int immediate;
    final boolean fromMmx;

    SimdStep(Operands operands, SimdOperation operation, int form) {
      this.operation = operation;
      this.form = form;
      this.to = operands.operand(0).register();
      this.from = operands.operand(1).register();
      this.fromMmx = operands.operand(1).kind() == Operand.Kind.MMX;
      this.immediate = (int) operands.instruction().immediate() & 0xFF;
    }

    final long low(InterpretedCpu cpu) {
      return fromMmx ? cpu.simd.mmx(from) : cpu.state.xmm[from << 1];
    }

    final long high(InterpretedCpu cpu) {
      return fromMmx ? 0 : cpu.state.xmm[(from << 1) + 1];
    }

    /** The address of the memory operand, aligned if it must be. */
    final long linear(InterpretedCpu cpu, Address address, int bytes, boolean write) {
      // Alignment comes before the segment's limit.
      if (operation.alignedMemory(form)
          && (address.offset(cpu) + cpu.segmentBase[address.segment] & 15) != 0) {
        throw cpu.generalProtection(0);
      }
      return address.linear(cpu, bytes, write);
    }
  }

  private static final class FromRegister extends SimdStep {
    FromRegister(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      cpu.simd.execute(operation, to, low(cpu), high(cpu), immediate, form);
    }
  }

  private static final class FromMemory extends SimdStep {
    private final Address address;
    private final int bytes;

    FromMemory(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      this.address = operands.address();
      this.bytes = operation.memoryBytes(form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      long linear = linear(cpu, address, bytes, false);
      long low;
      long high = 0;
      if (bytes == 16) {
        cpu.requireAlignment(linear, 16);
        low = cpu.load64(linear);
        high = cpu.load64(linear + 8);
      } else {
        low = cpu.load(linear, bytes);
        if (bytes == 4 && isIntegerConversion(operation)) {
          low = Alu.signExtend(low, 4);
        }
      }
      cpu.simd.execute(operation, to, low, high, immediate, form);
    }
  }

  private static boolean isIntegerConversion(SimdOperation operation) {
    return operation == SimdOperation.CVTSI2SS || operation == SimdOperation.CVTSI2SD;
  }

  private static final class FromGeneral extends SimdStep {
    private final int size;

    FromGeneral(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      this.size = operands.operand(1).sizeBytes();
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      long value = cpu.general[from];
      value =
          isIntegerConversion(operation)
              ? Alu.signExtend(value, size)
              : Alu.zeroExtend(value, size);
      cpu.simd.execute(operation, to, value, 0, immediate, form);
    }
  }

  private static final class ShiftByImmediate extends SimdStep {
    ShiftByImmediate(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      cpu.simd.execute(operation, to, immediate, 0, immediate, form);
    }
  }

  private static final class ToGeneral extends SimdStep {
    private final @org.jspecify.annotations.Nullable Address address;
    private final int bytes;

    ToGeneral(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      boolean memory = operands.operand(1).isMemory();
      this.address = memory ? operands.address() : null;
      this.bytes = operation.memoryBytes(form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      Address at = address;
      long low = at != null ? cpu.load(linear(cpu, at, bytes, false), bytes) : low(cpu);
      long high = at != null ? 0 : high(cpu);
      cpu.general[to] = cpu.simd.toGeneral(operation, low, high, immediate, form);
    }
  }

  private static final class ExtractToMemory extends SimdStep {
    private final Address address;
    private final int bytes;

    ExtractToMemory(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      this.address = operands.address();
      this.bytes = operation.memoryBytes(form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      long linear = linear(cpu, address, bytes, true);
      long value = cpu.simd.toGeneral(operation, low(cpu), high(cpu), immediate, form);
      cpu.store(linear, bytes, value);
    }
  }

  private static final class Store extends SimdStep {
    private final Address address;
    private final int bytes;

    Store(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      this.address = operands.address();
      this.bytes = operation.memoryBytes(form);
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      long linear = linear(cpu, address, bytes, true);
      if (bytes == 16) {
        cpu.requireAlignment(linear, 16);
        if ((linear & 4095) > 4080) {
          cpu.probeWrite(linear, 16);
        }
        cpu.store64(linear, cpu.simd.toMemory(operation, from, form));
        cpu.store64(linear + 8, cpu.simd.high(from));
      } else {
        if ((form & SimdUnit.FORM_MMX) != 0) {
          // A store that faults leaves the x87 state alone.
          cpu.probeWrite(linear, bytes);
        }
        cpu.store(linear, bytes, cpu.simd.toMemory(operation, from, form));
      }
    }
  }

  private static final class MaskedStore extends SimdStep {
    private final int segment;
    private final long mask;
    private final boolean code64;

    MaskedStore(Operands operands, SimdOperation operation, int form) {
      super(operands, operation, form);
      int named = operands.instruction().segment();
      this.code64 = operands.code64();
      this.segment = code64 && named < CpuState.FS ? CpuState.NO_SEGMENT : named;
      this.mask = operands.instruction().addressMask();
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(operation, form);
      long offset = cpu.general[CpuState.RDI] & mask;
      long linear = cpu.stringAddress(segment, offset, fromMmx ? 8 : 16, true, code64);
      // As AMD's processors do: eight bytes for both sizes.
      cpu.requireAlignment(linear, 8);
      cpu.simd.maskedStore(linear, to, low(cpu), high(cpu), form);
    }
  }

  private static final class Empty extends Step {
    private final int form;

    Empty(int form) {
      this.form = form;
    }

    @Override
    void run(InterpretedCpu cpu) {
      cpu.simd.checkAvailable(SimdOperation.EMMS, form);
      cpu.simd.execute(SimdOperation.EMMS, 0, 0, 0, 0, form);
    }
  }
}
