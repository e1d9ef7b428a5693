package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.system.PortPermission;

/**
 * String instructions. Without a prefix one element; with REP a step does one piece: the elements
 * up to the nearest end of a page that an operand reaches, or one element while debug traps may
 * follow it. An unfinished instruction leaves RIP at itself, so that interrupts come in between, as
 * on a processor. Every element is complete before the next begins, so a fault in the middle leaves
 * exact counts.
 *
 * <p>Invariant: a piece depends on the registers alone, never on a cache or on what waits, so that
 * a replay and every engine count the same pieces.
 */
final class StringSteps {
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
    private final boolean usesSource;
    private final boolean usesDestination;
    private final int offset;

    StringStep(Operands operands, boolean usesSource, boolean usesDestination) {
      this.usesSource = usesSource;
      this.usesDestination = usesDestination;
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
     * @param count elements of the piece; where there are several they lie in one page
     * @return whether they were done; else the general way must be taken
     */
    boolean piece(InterpretedCpu cpu, int count) {
      return false;
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
      int elements = (int) Math.min(count < 0 ? Long.MAX_VALUE : count, pieceElements(cpu));
      int left = elements;
      while (left > 0) {
        // Tried twice: the first element, done the general way, brings its pages into the TLB.
        if (left >= elements - 1 && piece(cpu, left)) {
          break;
        }
        // A fault in the middle leaves the flags of the last whole iteration, as on AMD's
        // processors.
        boolean more = element(cpu);
        left--;
        cpu.setGeneral(CpuState.RCX, addressBytes, count - (elements - left));
        if (!more) {
          return;
        }
      }
      count -= elements;
      cpu.setGeneral(CpuState.RCX, addressBytes, count);
      if (count != 0) {
        again(cpu);
      }
    }

    /** Elements up to the nearest page end in the direction of the operation, at least one. */
    private int pieceElements(InterpretedCpu cpu) {
      if (cpu.trapping()) {
        return 1;
      }
      boolean down = (cpu.state.systemFlags & CpuState.DF) != 0;
      int elements = 4096;
      if (usesSource) {
        long at = cpu.general[CpuState.RSI] + cpu.segmentBase[sourceSegment];
        elements = pageElements((int) at & 4095, down);
      }
      if (usesDestination) {
        int base = code64 ? CpuState.NO_SEGMENT : CpuState.ES;
        long at = cpu.general[CpuState.RDI] + cpu.segmentBase[base];
        elements = Math.min(elements, pageElements((int) at & 4095, down));
      }
      return elements;
    }

    private int pageElements(int pageOffset, boolean down) {
      return down ? pageOffset / size + 1 : Math.max(1, (4096 - pageOffset) / size);
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
    return new StringStep(operands, true, true) {
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
      boolean piece(InterpretedCpu cpu, int count) {
        if (!upwards64(cpu)) {
          return false;
        }
        int bytes = count * size;
        long fromOffset = cpu.directOffset(source(cpu), bytes, false);
        long toOffset = cpu.directOffset(destination(cpu, true), bytes, true);
        if (fromOffset < 0 || toOffset < 0) {
          return false;
        }
        if (toOffset > fromOffset && toOffset < fromOffset + bytes) {
          // An overlapping copy upwards repeats a pattern; only element by element does that.
          copyElements(cpu.memory, fromOffset, toOffset, count);
        } else {
          cpu.memory.copy(fromOffset, toOffset, bytes);
        }
        cpu.general[CpuState.RSI] += bytes;
        cpu.general[CpuState.RDI] += bytes;
        return true;
      }

      private void copyElements(GuestMemory memory, long from, long to, int count) {
        for (int i = 0; i < count; i++) {
          long at = (long) i * size;
          switch (size) {
            case 8 -> memory.putLong(to + at, memory.getLong(from + at));
            case 4 -> memory.putInt(to + at, memory.getInt(from + at));
            case 2 -> memory.putShort(to + at, memory.getShort(from + at));
            default -> memory.putByte(to + at, memory.getByte(from + at));
          }
        }
      }
    };
  }

  static Step store(Operands operands) {
    return new StringStep(operands, false, true) {
      @Override
      boolean element(InterpretedCpu cpu) {
        cpu.store(destination(cpu, true), size, cpu.general[CpuState.RAX]);
        advance(cpu, CpuState.RDI, stride(cpu));
        return true;
      }

      @Override
      boolean piece(InterpretedCpu cpu, int count) {
        if (!upwards64(cpu)) {
          return false;
        }
        long value = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        long pattern = (value & 0xFF) * 0x0101_0101_0101_0101L;
        int bytes = count * size;
        long toOffset = cpu.directOffset(destination(cpu, true), bytes, true);
        if (toOffset < 0) {
          return false;
        }
        if (Alu.zeroExtend(pattern, size) == value) {
          cpu.memory.fill(toOffset, bytes, (byte) value);
        } else {
          storeElements(cpu.memory, toOffset, count, value);
        }
        cpu.general[CpuState.RDI] += bytes;
        return true;
      }

      private void storeElements(GuestMemory memory, long to, int count, long value) {
        for (int i = 0; i < count; i++) {
          long at = to + (long) i * size;
          switch (size) {
            case 8 -> memory.putLong(at, value);
            case 4 -> memory.putInt(at, (int) value);
            default -> memory.putShort(at, (short) value);
          }
        }
      }
    };
  }

  static Step load(Operands operands) {
    return new StringStep(operands, true, false) {
      @Override
      boolean element(InterpretedCpu cpu) {
        cpu.setGeneral(CpuState.RAX, size, cpu.load(source(cpu), size));
        advance(cpu, CpuState.RSI, stride(cpu));
        return true;
      }
    };
  }

  static Step scan(Operands operands) {
    return new StringStep(operands, false, true) {
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
    return new StringStep(operands, true, true) {
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
    return new StringStep(operands, false, true) {
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
    return new StringStep(operands, true, false) {
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
}
