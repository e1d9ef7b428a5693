package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.simd.PackedArithmetic;
import io.anillo.vmm.x86.execute.simd.PackedMultiplication;
import io.anillo.vmm.x86.execute.simd.PackedShuffles;
import io.anillo.vmm.x86.execute.simd.SimdOperation;
import io.anillo.vmm.x86.execute.simd.SseControl;
import io.anillo.vmm.x86.execute.simd.SseDouble;
import org.jspecify.annotations.Nullable;

/**
 * The SSE instructions that compilers emit most, in 64-bit code: a class for each, so that HotSpot
 * sees which it is.
 */
final class HotSimd {
  private HotSimd() {}

  /** A step, or null when the instruction or its operands are of another kind. */
  static @Nullable Step compile(Operands operands, SimdOperation operation) {
    Operand to = operands.operand(0);
    Operand from = operands.operand(1);
    boolean fits =
        to.kind() == Operand.Kind.XMM
            && (from.kind() == Operand.Kind.XMM || from.isMemory() && FlatStep.fits(operands));
    if (fits) {
      return toRegister(operands, operation);
    }
    if (to.isMemory() && from.kind() == Operand.Kind.XMM && FlatStep.fits(operands)) {
      return switch (operation) {
        case MOVAPS, MOVAPD, MOVDQA -> new Store(operands, 15);
        case MOVUPS, MOVUPD, MOVDQU -> new Store(operands, 0);
        case MOVSD_SSE, MOVQ, MOVLPS, MOVLPD -> storeLow(operands);
        default -> null;
      };
    }
    return null;
  }

  private static @Nullable Step toRegister(Operands operands, SimdOperation operation) {
    boolean memory = operands.operand(1).isMemory();
    return switch (operation) {
      case MOVAPS, MOVAPD, MOVDQA -> move(operands, memory ? 15 : 0);
      case MOVUPS, MOVUPD, MOVDQU -> move(operands, 0);
      case MOVSD_SSE -> memory ? loadLow(operands) : null;
      case MOVQ -> memory ? loadLow(operands) : null;
      case PADDD -> addDoublewords(operands);
      case PADDQ -> addQuadwords(operands);
      case PXOR, XORPS, XORPD -> exclusiveOr(operands);
      case POR, ORPS, ORPD -> or(operands);
      case PAND, ANDPS, ANDPD -> and(operands);
      case PCMPEQB -> equalBytes(operands);
      case PMULUDQ -> multiplyUnsigned(operands);
      case PSHUFD -> shuffle(operands);
      case ADDSD, SUBSD, MULSD, DIVSD -> scalar(operands, operation);
      default -> null;
    };
  }

  /** A step with an XMM destination, whose source is an XMM register or memory. */
  private abstract static class Packed extends FlatStep {
    final int to;
    private final int from;
    private final boolean memory;
    private final int alignment;

    Packed(Operands operands, int alignment) {
      super(operands);
      this.to = operands.operand(0).register() << 1;
      this.memory = operands.operand(1).isMemory();
      this.from = memory ? 0 : operands.operand(1).register() << 1;
      this.alignment = alignment;
    }

    /** Fetches the source: its low quadword; the high one is in {@code cpu.sourceHigh}. */
    final long fetch(InterpretedCpu cpu) {
      checkAvailable(cpu);
      if (memory) {
        long linear = linear(cpu);
        if ((linear & alignment) != 0) {
          throw cpu.generalProtection(0);
        }
        cpu.requireAlignment(linear, 16);
        long low = cpu.load64(linear);
        cpu.sourceHigh = cpu.load64(linear + 8);
        return low;
      }
      cpu.sourceHigh = cpu.state.xmm[from + 1];
      return cpu.state.xmm[from];
    }

    final long fetchLow(InterpretedCpu cpu) {
      checkAvailable(cpu);
      return memory ? cpu.load64(linear(cpu)) : cpu.state.xmm[from];
    }
  }

  private static void checkAvailable(InterpretedCpu cpu) {
    CpuState state = cpu.state;
    if ((state.cr0 & (CpuState.CR0_EM | CpuState.CR0_TS)) != 0
        || (state.cr4 & CpuState.CR4_OSFXSR) == 0) {
      // Any SSE instruction: it raises what this one has to raise.
      cpu.simd.checkAvailable(SimdOperation.MOVAPS, 0);
    }
  }

  private static Step move(Operands operands, int alignment) {
    return new Packed(operands, alignment) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        cpu.state.xmm[to] = low;
        cpu.state.xmm[to + 1] = cpu.sourceHigh;
      }
    };
  }

  private static Step loadLow(Operands operands) {
    return new Packed(operands, 0) {
      @Override
      void run(InterpretedCpu cpu) {
        cpu.state.xmm[to] = fetchLow(cpu);
        cpu.state.xmm[to + 1] = 0;
      }
    };
  }

  private static Step storeLow(Operands operands) {
    int from = operands.operand(1).register() << 1;
    return new FlatStep(operands) {
      @Override
      void run(InterpretedCpu cpu) {
        checkAvailable(cpu);
        cpu.store64(linear(cpu), cpu.state.xmm[from]);
      }
    };
  }

  private static final class Store extends FlatStep {
    private final int from;
    private final int alignment;

    Store(Operands operands, int alignment) {
      super(operands);
      this.from = operands.operand(1).register() << 1;
      this.alignment = alignment;
    }

    @Override
    void run(InterpretedCpu cpu) {
      checkAvailable(cpu);
      long linear = linear(cpu);
      if ((linear & alignment) != 0) {
        throw cpu.generalProtection(0);
      }
      cpu.requireAlignment(linear, 16);
      if ((linear & 4095) > 4080) {
        cpu.probeWrite(linear, 16);
      }
      cpu.store64(linear, cpu.state.xmm[from]);
      cpu.store64(linear + 8, cpu.state.xmm[from + 1]);
    }
  }

  private static Step addDoublewords(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = PackedArithmetic.addDoublewords(xmm[to], low);
        xmm[to + 1] = PackedArithmetic.addDoublewords(xmm[to + 1], cpu.sourceHigh);
      }
    };
  }

  private static Step addQuadwords(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = xmm[to] + low;
        xmm[to + 1] = xmm[to + 1] + cpu.sourceHigh;
      }
    };
  }

  private static Step exclusiveOr(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = xmm[to] ^ low;
        xmm[to + 1] = xmm[to + 1] ^ cpu.sourceHigh;
      }
    };
  }

  private static Step or(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = xmm[to] | low;
        xmm[to + 1] = xmm[to + 1] | cpu.sourceHigh;
      }
    };
  }

  private static Step and(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = xmm[to] & low;
        xmm[to + 1] = xmm[to + 1] & cpu.sourceHigh;
      }
    };
  }

  private static Step equalBytes(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = PackedArithmetic.equalBytes(xmm[to], low);
        xmm[to + 1] = PackedArithmetic.equalBytes(xmm[to + 1], cpu.sourceHigh);
      }
    };
  }

  private static Step multiplyUnsigned(Operands operands) {
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long[] xmm = cpu.state.xmm;
        xmm[to] = PackedMultiplication.multiplyUnsignedDoublewords(xmm[to], low);
        xmm[to + 1] = PackedMultiplication.multiplyUnsignedDoublewords(xmm[to + 1], cpu.sourceHigh);
      }
    };
  }

  private static Step shuffle(Operands operands) {
    int order = (int) operands.instruction().immediate() & 0xFF;
    return new Packed(operands, 15) {
      @Override
      void run(InterpretedCpu cpu) {
        long low = fetch(cpu);
        long high = cpu.sourceHigh;
        cpu.state.xmm[to] = PackedShuffles.shuffleDoublewordsLow(low, high, order);
        cpu.state.xmm[to + 1] = PackedShuffles.shuffleDoublewordsHigh(low, high, order);
      }
    };
  }

  private static Step scalar(Operands operands, SimdOperation operation) {
    return switch (operation) {
      case ADDSD ->
          new Packed(operands, 0) {
            @Override
            void run(InterpretedCpu cpu) {
              long b = fetchLow(cpu);
              SseControl control = cpu.simd.control();
              long result = SseDouble.add(cpu.state.xmm[to], b, control);
              cpu.simd.commit();
              cpu.state.xmm[to] = result;
            }
          };
      case SUBSD ->
          new Packed(operands, 0) {
            @Override
            void run(InterpretedCpu cpu) {
              long b = fetchLow(cpu);
              SseControl control = cpu.simd.control();
              long result = SseDouble.subtract(cpu.state.xmm[to], b, control);
              cpu.simd.commit();
              cpu.state.xmm[to] = result;
            }
          };
      case MULSD ->
          new Packed(operands, 0) {
            @Override
            void run(InterpretedCpu cpu) {
              long b = fetchLow(cpu);
              SseControl control = cpu.simd.control();
              long result = SseDouble.multiply(cpu.state.xmm[to], b, control);
              cpu.simd.commit();
              cpu.state.xmm[to] = result;
            }
          };
      case DIVSD ->
          new Packed(operands, 0) {
            @Override
            void run(InterpretedCpu cpu) {
              long b = fetchLow(cpu);
              SseControl control = cpu.simd.control();
              long result = SseDouble.divide(cpu.state.xmm[to], b, control);
              cpu.simd.commit();
              cpu.state.xmm[to] = result;
            }
          };
      default -> throw new IllegalArgumentException(operation + " is not scalar arithmetic");
    };
  }
}
