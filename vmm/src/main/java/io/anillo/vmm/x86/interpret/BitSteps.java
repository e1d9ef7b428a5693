package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;

/** BT, BTS, BTR, BTC, BSF, BSR, POPCNT. */
final class BitSteps {
  private BitSteps() {}

  /** What a bit test does to the bit. */
  enum Change {
    NONE,
    SET,
    RESET,
    COMPLEMENT;

    long apply(long value, long bit) {
      return switch (this) {
        case NONE -> value;
        case SET -> value | bit;
        case RESET -> value & ~bit;
        case COMPLEMENT -> value ^ bit;
      };
    }
  }

  static Step test(Operands operands, Change change) {
    Operand to = operands.operand(0);
    if (to.isMemory()) {
      return new MemoryTest(operands, change);
    }
    Place place = operands.place(0);
    Place index = operands.place(1);
    int mask = place.size * 8 - 1;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        int n = (int) index.get(cpu) & mask;
        long value = place.get(cpu);
        if (change != Change.NONE) {
          place.set(cpu, change.apply(value, 1L << n));
        }
        setCarry(cpu.state, (value >>> n & 1) != 0);
      }
    };
  }

  /** CF is the bit; the other flags stay (OF, SF, AF, PF are undefined, ZF is kept). */
  static void setCarry(CpuState state, boolean carry) {
    state.flagCarries =
        Alu.replaceCarryOverflow(state.flagCarries, carry, Alu.overflow(state.flagCarries));
  }

  /** A bit in memory: with a register as index the bit may lie far from the address. */
  private static final class MemoryTest extends Step {
    private final Address address;
    private final Place index;
    private final boolean far;
    private final int size;
    private final Change change;
    private final boolean locked;
    private final boolean code64;

    MemoryTest(Operands operands, Change change) {
      this.address = operands.address();
      this.index = operands.place(1);
      this.far = operands.operand(1).isGeneral();
      this.size = operands.operand(0).sizeBytes();
      this.change = change;
      this.locked = operands.instruction().locked();
      this.code64 = operands.code64();
    }

    @Override
    void run(InterpretedCpu cpu) {
      long n = Alu.signExtend(index.get(cpu), size);
      long offset = address.offset(cpu);
      if (far) {
        offset = offset + (n >> 3 & -size) & address.mask;
      }
      long bit = 1L << (n & size * 8 - 1);
      boolean writes = change != Change.NONE;
      long linear = cpu.stringAddress(address.segment, offset, size, writes, code64);
      long value;
      if (locked) {
        do {
          value = cpu.loadForUpdate(linear, size);
        } while (!cpu.compareAndSet(linear, size, value, change.apply(value, bit)));
      } else if (writes) {
        value = cpu.loadForUpdate(linear, size);
        cpu.store(linear, size, change.apply(value, bit));
      } else {
        value = cpu.load(linear, size);
      }
      setCarry(cpu.state, (value & bit) != 0);
    }
  }

  /** BSF and BSR; a zero source leaves the destination as it is. */
  static Step scan(Operands operands, boolean forward) {
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long value = source.get(cpu);
        if (value != 0) {
          destination.set(
              cpu,
              forward ? Long.numberOfTrailingZeros(value) : 63 - Long.numberOfLeadingZeros(value));
        }
        cpu.state.flagResult = value == 0 ? 0 : 1;
        cpu.state.flagCarries = 0;
      }
    };
  }

  static Step count(Operands operands) {
    Place destination = operands.place(0);
    Place source = operands.place(1);
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long value = source.get(cpu);
        destination.set(cpu, Long.bitCount(value));
        // ZF as of the source; all other flags are cleared, PF included.
        cpu.state.flagResult = value == 0 ? 0 : 1;
        cpu.state.flagCarries = value == 0 ? 4 : 0;
      }
    };
  }
}
