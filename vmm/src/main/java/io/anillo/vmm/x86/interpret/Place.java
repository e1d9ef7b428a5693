package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;

/**
 * An integer operand that can be read and, unless it is immediate, written. The general way to
 * operands, for forms that are not hot enough for a step class of their own. Values are
 * zero-extended.
 */
abstract class Place {
  final int size;

  Place(int size) {
    this.size = size;
  }

  abstract long get(InterpretedCpu cpu);

  /**
   * Reads an operand that will be written: a memory operand's address is kept for {@link #update}.
   */
  long getForUpdate(InterpretedCpu cpu) {
    return get(cpu);
  }

  /** Writes back after {@link #getForUpdate}. */
  void update(InterpretedCpu cpu, long value) {
    set(cpu, value);
  }

  abstract void set(InterpretedCpu cpu, long value);

  boolean isMemory() {
    return false;
  }

  static final class Register extends Place {
    private final int register;

    Register(int register, int size) {
      super(size);
      this.register = register;
    }

    int register() {
      return register;
    }

    @Override
    long get(InterpretedCpu cpu) {
      long value = cpu.general[register];
      return switch (size) {
        case 1 -> value & 0xFF;
        case 2 -> value & 0xFFFF;
        case 4 -> value & 0xFFFF_FFFFL;
        default -> value;
      };
    }

    @Override
    void set(InterpretedCpu cpu, long value) {
      cpu.setGeneral(register, size, value);
    }
  }

  static final class HighByte extends Place {
    private final int register;

    HighByte(int register) {
      super(1);
      this.register = register;
    }

    @Override
    long get(InterpretedCpu cpu) {
      return cpu.general[register] >>> 8 & 0xFF;
    }

    @Override
    void set(InterpretedCpu cpu, long value) {
      cpu.general[register] = cpu.general[register] & ~0xFF00L | (value & 0xFF) << 8;
    }
  }

  static final class Constant extends Place {
    private final long value;

    Constant(long value, int size) {
      super(size);
      this.value = value;
    }

    @Override
    long get(InterpretedCpu cpu) {
      return value;
    }

    @Override
    void set(InterpretedCpu cpu, long newValue) {
      throw new IllegalStateException("an immediate operand is not written");
    }
  }

  static final class Memory extends Place {
    private final Address address;

    Memory(Address address, int size) {
      super(size);
      this.address = address;
    }

    @Override
    long get(InterpretedCpu cpu) {
      return cpu.load(address.linear(cpu, size, false), size);
    }

    @Override
    long getForUpdate(InterpretedCpu cpu) {
      long linear = address.linear(cpu, size, true);
      // Faults as a write would, before anything is read from a device.
      cpu.operandAddress = linear;
      return cpu.loadForUpdate(linear, size);
    }

    @Override
    void update(InterpretedCpu cpu, long value) {
      cpu.store(cpu.operandAddress, size, value);
    }

    @Override
    void set(InterpretedCpu cpu, long value) {
      cpu.store(address.linear(cpu, size, true), size, value);
    }

    @Override
    boolean isMemory() {
      return true;
    }

    long linear(InterpretedCpu cpu, boolean write) {
      return address.linear(cpu, size, write);
    }
  }

  /** Keeps the numbering of the general registers in one place. */
  static Place accumulator(int size) {
    return new Register(CpuState.RAX, size);
  }
}
