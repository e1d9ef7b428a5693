package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.WideDivision;

/** MUL, IMUL, DIV, IDIV. */
final class MultiplySteps {
  private MultiplySteps() {}

  /** MUL and one-operand IMUL. */
  static Step multiply(Operands operands, boolean signed) {
    Place place = operands.place(0);
    int size = place.size;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long b = place.get(cpu);
        long a = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        if (signed) {
          a = Alu.signExtend(a, size);
          b = Alu.signExtend(b, size);
        }
        long low;
        long high;
        if (size == 8) {
          low = a * b;
          high = signed ? Math.multiplyHigh(a, b) : Math.unsignedMultiplyHigh(a, b);
        } else {
          long product = a * b;
          low = Alu.signExtend(product, size);
          high = Alu.signExtend(product >> size * 8, size);
        }
        boolean overflow = signed ? high != low >> 63 : high != 0;
        if (size == 1) {
          cpu.setGeneral(CpuState.RAX, 2, (low & 0xFF) | high << 8);
        } else {
          cpu.setGeneral(CpuState.RAX, size, low);
          cpu.setGeneral(CpuState.RDX, size, high);
        }
        cpu.state.flagResult = low;
        cpu.state.flagCarries = Alu.carries(overflow, overflow);
      }
    };
  }

  /** IMUL with two or three operands. */
  static Step multiplySigned(Operands operands, Place first, Place second) {
    Place destination = operands.place(0);
    int size = destination.size;
    Operand to = operands.operand(0);
    if (size >= 4 && first instanceof Place.Register a) {
      if (second instanceof Place.Register b) {
        return RegisterArithmetic.multiply(to.register(), a.register(), b.register(), size);
      }
      if (second instanceof Place.Constant) {
        long value = operands.instruction().immediate();
        return RegisterArithmetic.multiplyConstant(to.register(), a.register(), value, size);
      }
      if (a.register() == to.register() && FlatStep.fits(operands)) {
        return RegisterArithmetic.multiplyMemory(operands, to.register(), size);
      }
    }
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long a = Alu.signExtend(first.get(cpu), size);
        long b = Alu.signExtend(second.get(cpu), size);
        long product = a * b;
        long r = Alu.signExtend(product, size);
        boolean overflow = size == 8 ? Math.multiplyHigh(a, b) != r >> 63 : product != r;
        destination.set(cpu, r);
        cpu.state.flagResult = r;
        cpu.state.flagCarries = Alu.carries(overflow, overflow);
      }
    };
  }

  static Step divide(Operands operands, boolean signed) {
    Place place = operands.place(0);
    return switch (place.size) {
      case 1 -> divideByte(place, signed);
      case 2, 4 -> divideNarrow(place, signed);
      default -> divideWide(place, signed);
    };
  }

  private static Step divideByte(Place place, boolean signed) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long raw = place.get(cpu);
        long divisor = signed ? (byte) raw : raw;
        long ax = cpu.general[CpuState.RAX];
        long dividend = signed ? (short) ax : ax & 0xFFFF;
        if (divisor == 0) {
          throw cpu.fault(GuestFault.DIVIDE, 0);
        }
        long quotient = dividend / divisor;
        if (signed ? quotient != (byte) quotient : quotient > 0xFF) {
          throw cpu.fault(GuestFault.DIVIDE, 0);
        }
        cpu.setGeneral(CpuState.RAX, 2, (quotient & 0xFF) | (dividend % divisor) << 8);
      }
    };
  }

  private static Step divideNarrow(Place place, boolean signed) {
    int size = place.size;
    int bits = size * 8;
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long raw = place.get(cpu);
        long divisor = signed ? Alu.signExtend(raw, size) : raw;
        if (divisor == 0) {
          throw cpu.fault(GuestFault.DIVIDE, 0);
        }
        long high = cpu.general[CpuState.RDX];
        long low = Alu.zeroExtend(cpu.general[CpuState.RAX], size);
        long quotient;
        long remainder;
        if (signed) {
          long dividend = Alu.signExtend(high, size) << bits | low;
          quotient = dividend / divisor;
          remainder = dividend % divisor;
          if (quotient != Alu.signExtend(quotient, size)
              || (dividend == Long.MIN_VALUE && divisor == -1)) {
            throw cpu.fault(GuestFault.DIVIDE, 0);
          }
        } else {
          long dividend = Alu.zeroExtend(high, size) << bits | low;
          quotient = Long.divideUnsigned(dividend, divisor);
          remainder = Long.remainderUnsigned(dividend, divisor);
          if (quotient != Alu.zeroExtend(quotient, size)) {
            throw cpu.fault(GuestFault.DIVIDE, 0);
          }
        }
        cpu.setGeneral(CpuState.RAX, size, quotient);
        cpu.setGeneral(CpuState.RDX, size, remainder);
      }
    };
  }

  private static Step divideWide(Place place, boolean signed) {
    return new Step() {
      @Override
      void run(InterpretedCpu cpu) {
        long divisor = place.get(cpu);
        long high = cpu.general[CpuState.RDX];
        long low = cpu.general[CpuState.RAX];
        boolean fits =
            signed
                ? WideDivision.signedFits(high, low, divisor)
                : WideDivision.unsignedFits(high, divisor);
        if (!fits) {
          throw cpu.fault(GuestFault.DIVIDE, 0);
        }
        long quotient =
            signed
                ? WideDivision.signedQuotient(high, low, divisor)
                : WideDivision.unsignedQuotient(high, low, divisor);
        cpu.general[CpuState.RAX] = quotient;
        cpu.general[CpuState.RDX] = low - quotient * divisor;
      }
    };
  }
}
