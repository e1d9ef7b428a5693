package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;

/**
 * The eight two-operand operations of the arithmetic unit, on values, with the flags going into the
 * state.
 */
final class Arithmetic {
  /** In the order of their opcodes. */
  static final int ADD = 0, OR = 1, ADC = 2, SBB = 3, AND = 4, SUB = 5, XOR = 6, CMP = 7;

  private Arithmetic() {}

  /** Only the result; no flags change. For a memory destination, which may still fault. */
  static long result(int operation, long a, long b, boolean carry) {
    return switch (operation) {
      case ADD -> a + b;
      case OR -> a | b;
      case ADC -> a + b + (carry ? 1 : 0);
      case SBB -> a - b - (carry ? 1 : 0);
      case AND -> a & b;
      case SUB, CMP -> a - b;
      default -> a ^ b;
    };
  }

  static long apply64(int operation, CpuState state, long a, long b) {
    switch (operation) {
      case ADD -> {
        long r = a + b;
        state.flagResult = r;
        state.flagCarries = Alu.addCarries64(a, b, r);
        return r;
      }
      case SUB, CMP -> {
        long r = a - b;
        state.flagResult = r;
        state.flagCarries = Alu.subtractCarries64(a, b, r);
        return r;
      }
      case AND, OR, XOR -> {
        long r = operation == AND ? a & b : operation == OR ? a | b : a ^ b;
        state.flagResult = r;
        state.flagCarries = 0;
        return r;
      }
      case ADC -> {
        long r = a + b + (state.flagCarries >>> 63);
        state.flagResult = r;
        state.flagCarries = Alu.addCarries64(a, b, r);
        return r;
      }
      default -> {
        long r = a - b - (state.flagCarries >>> 63);
        state.flagResult = r;
        state.flagCarries = Alu.subtractCarries64(a, b, r);
        return r;
      }
    }
  }

  static int apply32(int operation, CpuState state, int a, int b) {
    switch (operation) {
      case ADD -> {
        int r = a + b;
        state.flagResult = r;
        state.flagCarries = Alu.addCarries32(a, b, r);
        return r;
      }
      case SUB, CMP -> {
        int r = a - b;
        state.flagResult = r;
        state.flagCarries = Alu.subtractCarries32(a, b, r);
        return r;
      }
      case AND, OR, XOR -> {
        int r = operation == AND ? a & b : operation == OR ? a | b : a ^ b;
        state.flagResult = r;
        state.flagCarries = 0;
        return r;
      }
      case ADC -> {
        int r = a + b + (int) (state.flagCarries >>> 63);
        state.flagResult = r;
        state.flagCarries = Alu.addCarries32(a, b, r);
        return r;
      }
      default -> {
        int r = a - b - (int) (state.flagCarries >>> 63);
        state.flagResult = r;
        state.flagCarries = Alu.subtractCarries32(a, b, r);
        return r;
      }
    }
  }

  /** Any width; the result is sign-extended. */
  static long apply(int operation, CpuState state, long a, long b, int size) {
    boolean carry = state.carry();
    long r = Alu.signExtend(result(operation, a, b, carry), size);
    state.flagResult = r;
    state.flagCarries =
        switch (operation) {
          case ADD, ADC -> Alu.addCarries(a, b, r, size);
          case SUB, SBB, CMP -> Alu.subtractCarries(a, b, r, size);
          default -> 0;
        };
    return r;
  }
}
