package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.system.PortPermission;

/**
 * String instructions. Without a prefix one element; with REP a step does one piece: up to the end
 * of a page, at most {@link #PIECE_BYTES}. An unfinished instruction leaves RIP at itself, so that
 * interrupts come in between, as on a processor. Every element is complete before the next begins,
 * so a fault in the middle leaves exact counts.
 */
final class StringSteps {
  private static final int PIECE_BYTES = 4096;
  private static final int PIECE_ELEMENTS = 1024;

  private StringSteps() {}

  /** What is common to all string instructions. */
  private abstract static class StringStep extends Step.Last {
    final int size;
    final int addressBytes;
    final long addressMask;
    final int sourceSegment;
    final boolean code64;
    final boolean rep;
    final boolean repne;
    private final int offset;

    StringStep(Operands operands) {
      this.size = operands.operandBytes();
      this.addressBytes = operands.instruction().addressBytes();
      this.addressMask = operands.instruction().addressMask();
      int segment = operands.instruction().segment();
      this.sourceSegment =
          operands.code64() && segment < CpuState.FS ? CpuState.NO_SEGMENT : segment;
      this.code64 = operands.code64();
      this.rep = operands.instruction().rep();
      this.repne = operands.instruction().repne();
      this.offset = operands.offset();
    }

    /** Does one element; returns whether a repetition goes on. */
    abstract boolean element(InterpretedCpu cpu);

    /** Faults of an instruction that come even when nothing is repeated. */
    void checkFirst(InterpretedCpu cpu) {}

    /**
     * Does many elements at once where that is the same.
     *
     * @param count elements left
     * @return how many were done; 0 when the general way must be taken
     */
    long piece(InterpretedCpu cpu, long count) {
      return 0;
    }

    @Override
    final void run(InterpretedCpu cpu) {
      if (!rep && !repne) {
        element(cpu);
        return;
      }
      long count = Alu.zeroExtend(cpu.general[CpuState.RCX], addressBytes);
      checkFirst(cpu);
      if (count == 0) {
        return;
      }
      long done = piece(cpu, count);
      if (done > 0) {
        count -= done;
        cpu.setGeneral(CpuState.RCX, addressBytes, count);
        if (count != 0) {
          again(cpu);
        }
        return;
      }
      // A fault in the middle leaves the flags of the last whole iteration, as on AMD's processors.
      for (int i = 0; i < PIECE_ELEMENTS; i++) {
        boolean more = element(cpu);
        count--;
        cpu.setGeneral(CpuState.RCX, addressBytes, count);
        if (count == 0 || !more) {
          return;
        }
        if (cpu.attentionWanted()) {
          break;
        }
      }
      again(cpu);
    }

    private void again(InterpretedCpu cpu) {
      cpu.state.rip = cpu.general[CpuState.BLOCK_RIP] + offset;
    }

    final long source(InterpretedCpu cpu) {
      long at = cpu.general[CpuState.RSI] & addressMask;
      return code64
          ? at + cpu.segmentBase[sourceSegment]
          : cpu.linear(sourceSegment, at, size, false);
    }

    final long destination(InterpretedCpu cpu, boolean write) {
      long at = cpu.general[CpuState.RDI] & addressMask;
      return code64 ? at : cpu.linear(CpuState.ES, at, size, write);
    }

    final long stride(InterpretedCpu cpu) {
      return (cpu.state.systemFlags & CpuState.DF) == 0 ? size : -size;
    }

    final void advance(InterpretedCpu cpu, int register, long bytes) {
      cpu.setGeneral(register, addressBytes, cpu.general[register] + bytes);
    }

    /**
     * Whether the simple case holds in which pieces may be done at once: upwards, in 64-bit mode.
     */
    final boolean upwards64(InterpretedCpu cpu) {
      return addressBytes == 8 && (cpu.state.systemFlags & CpuState.DF) == 0;
    }
  }

  static Step move(Operands operands) {
    return new StringStep(operands) {
      @Override
      boolean element(InterpretedCpu cpu) {
        long value = cpu.load(source(cpu), size);
        cpu.store(destination(cpu, true), size, value);
        long stride = stride(cpu);
        advance(cpu, CpuState.RSI, stride);
        advance(cpu, CpuState.RDI, stride);
        return true;
      }

      @Override
      long piece(InterpretedCpu cpu, long count) {
        if (!upwards64(cpu)) {
          return 0;
        }
        long from = source(cpu);
        long to = destination(cpu, true);
        int room = Math.min(pageRest(from), pageRest(to));
        int bytes = (int) Math.min(count * size < 0 ? PIECE_BYTES : count * size, room) & -size;
        if (bytes <= 0) {
          return 0;
        }
        long fromOffset = cpu.directOffset(from, bytes, false);
        long toOffset = cpu.directOffset(to, bytes, true);
        if (fromOffset < 0 || toOffset < 0) {
          return 0;
        }
        // An overlapping copy upwards repeats a pattern; only element by element does that.
        if (toOffset > fromOffset && toOffset < fromOffset + bytes) {
          return 0;
        }
        cpu.memory.copy(fromOffset, toOffset, bytes);
        cpu.general[CpuState.RSI] += bytes;
        cpu.general[CpuState.RDI] += bytes;
        return bytes / size;
      }
    };
  }

  static Step store(Operands operands) {
    return new StringStep(operands) {
      @Override
      boolean element(InterpretedCpu cpu) {
        cpu.store(destination(cpu, true), size, cpu.general[CpuState.RAX]);
        advance(cpu, CpuState.RDI, stride(cpu));
        return true;
      }

      @Override
      long piece(InterpretedCpu cpu, long count) {
        if (!upwards64(cpu)) {
          return 0;
        }
        long value = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        long pattern = (value & 0xFF) * 0x0101_0101_0101_0101L;
        if (Alu.zeroExtend(pattern, size) != value) {
          return 0;
        }
        long to = destination(cpu, true);
        int bytes =
            (int) Math.min(count * size < 0 ? PIECE_BYTES : count * size, pageRest(to)) & -size;
        if (bytes <= 0) {
          return 0;
        }
        long toOffset = cpu.directOffset(to, bytes, true);
        if (toOffset < 0) {
          return 0;
        }
        cpu.memory.fill(toOffset, bytes, (byte) value);
        cpu.general[CpuState.RDI] += bytes;
        return bytes / size;
      }
    };
  }

  static Step load(Operands operands) {
    return new StringStep(operands) {
      @Override
      boolean element(InterpretedCpu cpu) {
        cpu.setGeneral(CpuState.RAX, size, cpu.load(source(cpu), size));
        advance(cpu, CpuState.RSI, stride(cpu));
        return true;
      }
    };
  }

  static Step scan(Operands operands) {
    return new StringStep(operands) {
      @Override
      boolean element(InterpretedCpu cpu) {
        long b = cpu.load(destination(cpu, false), size);
        long a = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        Arithmetic.apply(Arithmetic.CMP, cpu.state, a, b, size);
        advance(cpu, CpuState.RDI, stride(cpu));
        return (a == b) == rep;
      }
    };
  }

  static Step compare(Operands operands) {
    return new StringStep(operands) {
      @Override
      boolean element(InterpretedCpu cpu) {
        // AMD's processors load the second operand first.
        long b = cpu.load(destination(cpu, false), size);
        long a = cpu.load(source(cpu), size);
        Arithmetic.apply(Arithmetic.CMP, cpu.state, a, b, size);
        long stride = stride(cpu);
        advance(cpu, CpuState.RSI, stride);
        advance(cpu, CpuState.RDI, stride);
        return (a == b) == rep;
      }
    };
  }

  static Step input(Operands operands) {
    return new StringStep(operands) {
      @Override
      void checkFirst(InterpretedCpu cpu) {
        PortPermission.check(cpu, (int) cpu.general[CpuState.RDX] & 0xFFFF, size);
      }

      @Override
      boolean element(InterpretedCpu cpu) {
        int port = (int) cpu.general[CpuState.RDX] & 0xFFFF;
        cpu.checkPort(port, size);
        long to = destination(cpu, true);
        cpu.probeWrite(to, size);
        cpu.store(to, size, cpu.readPort(port, size));
        advance(cpu, CpuState.RDI, stride(cpu));
        return true;
      }
    };
  }

  static Step output(Operands operands) {
    return new StringStep(operands) {
      @Override
      void checkFirst(InterpretedCpu cpu) {
        PortPermission.check(cpu, (int) cpu.general[CpuState.RDX] & 0xFFFF, size);
      }

      @Override
      boolean element(InterpretedCpu cpu) {
        int port = (int) cpu.general[CpuState.RDX] & 0xFFFF;
        cpu.checkPort(port, size);
        cpu.writePort(port, size, (int) cpu.load(source(cpu), size));
        advance(cpu, CpuState.RSI, stride(cpu));
        return true;
      }
    };
  }

  private static int pageRest(long linear) {
    return 4096 - ((int) linear & 4095);
  }
}
