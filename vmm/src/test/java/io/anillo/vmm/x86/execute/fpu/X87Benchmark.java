package io.anillo.vmm.x86.execute.fpu;

import java.util.Random;

/**
 * Nanoseconds for one operation on random normal numbers, the best of many rounds: a main program,
 * not a test.
 */
final class X87Benchmark {
  private static final int OPERANDS = 1 << 12;
  private static final int ROUNDS = 60;

  /** An operation on two numbers, its result in the context. */
  private interface Operation {
    void perform(Float80Context context, int aSignExponent, long a, int bSignExponent, long b);
  }

  private X87Benchmark() {}

  public static void main(String[] arguments) {
    Float80Transcendental transcendental = new Float80Transcendental();
    measure("add", Float80Arithmetic::add);
    measure("multiply", Float80Arithmetic::multiply);
    measure("divide", Float80Arithmetic::divide);
    measure(
        "square root",
        (context, e, a, f, b) -> Float80Arithmetic.squareRoot(context, e & 0x7FFF, a));
    measure("sine", (context, e, a, f, b) -> transcendental.sine(context, e, a));
    measure("arctangent", transcendental::arctangent);
    measure(
        "logarithm",
        (context, e, a, f, b) -> transcendental.logarithm(context, e, a, f & 0x7FFF, b));
  }

  private static void measure(String name, Operation operation) {
    Random random = new Random(1);
    int[] exponents = new int[OPERANDS];
    long[] significands = new long[OPERANDS];
    for (int index = 0; index < OPERANDS; index++) {
      exponents[index] = (0x3FFF + random.nextInt(40) - 20) | random.nextInt(2) << 15;
      significands[index] = random.nextLong() | Long.MIN_VALUE;
    }
    for (int control : new int[] {0x37F, 0x27F}) {
      Float80Context context = new Float80Context();
      context.control = control;
      double best = Double.MAX_VALUE;
      long sum = 0;
      for (int round = 0; round < ROUNDS; round++) {
        long start = System.nanoTime();
        for (int index = 0; index < OPERANDS; index++) {
          int other = (index * 7 + round) & (OPERANDS - 1);
          context.begin();
          operation.perform(
              context,
              exponents[index],
              significands[index],
              exponents[other],
              significands[other]);
          sum += context.significand + context.exceptions;
        }
        best = Math.min(best, (double) (System.nanoTime() - start) / OPERANDS);
      }
      System.out.printf("%-12s control %03x %7.1f ns (%x)%n", name, control, best, sum & 0xF);
    }
  }
}
