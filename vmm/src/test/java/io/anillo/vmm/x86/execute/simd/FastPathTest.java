package io.anillo.vmm.x86.execute.simd;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Java's arithmetic and the exact arithmetic in integers agree, results and exceptions. */
class FastPathTest {
  private static final int ROUNDS = 300_000;

  private final SplittableRandom random = new SplittableRandom(20250719);
  private final CpuState state = new CpuState();
  private final SseControl fast = new SseControl(state);
  private final SseControl exact = new SseControl(state);

  private interface Operation {
    long apply(long a, long b, SseControl control);
  }

  private long randomDouble() {
    long bits = random.nextLong();
    return switch (random.nextInt(6)) {
      case 0 -> bits;
      // Close in magnitude, so that sums cancel and quotients are near 1.
      case 1 -> (bits & 0x800F_FFFF_FFFF_FFFFL) | (1020L + random.nextInt(8)) << 52;
      // Few significant bits, so that much is exact.
      case 2 -> Double.doubleToRawLongBits((double) (bits >> (40 + random.nextInt(24))));
      // Products and quotients near the least and the greatest numbers.
      case 3 -> (bits & 0x800F_FFFF_FFFF_FFFFL) | (509L + random.nextInt(5)) << 52;
      case 4 -> (bits & 0x800F_FFFF_FFFF_FFFFL) | (1533L + random.nextInt(5)) << 52;
      default -> bits & 0x801F_FFFF_FFFF_FFFFL;
    };
  }

  private long randomSingle() {
    int bits = random.nextInt();
    int result =
        switch (random.nextInt(6)) {
          case 0 -> bits;
          case 1 -> (bits & 0x807F_FFFF) | (124 + random.nextInt(8)) << 23;
          case 2 -> Float.floatToRawIntBits((float) (bits >> (18 + random.nextInt(14))));
          case 3 -> (bits & 0x807F_FFFF) | (61 + random.nextInt(5)) << 23;
          case 4 -> (bits & 0x807F_FFFF) | (189 + random.nextInt(5)) << 23;
          default -> bits & 0x80FF_FFFF;
        };
    return result & 0xFFFFFFFFL;
  }

  private void agree(String name, int format, Operation quick, Operation careful) {
    for (int round = 0; round < ROUNDS; round++) {
      boolean isDouble = format == ExactArithmetic.DOUBLE;
      long a = isDouble ? randomDouble() : randomSingle();
      long b = isDouble ? randomDouble() : randomSingle();
      // Masked; the inexact flag set or not, DAZ and FTZ in any combination.
      state.mxcsr = 0x1F80 | random.nextInt(2) << 5;
      if (random.nextInt(4) == 0) {
        state.mxcsr |= random.nextInt(2) << 6 | random.nextInt(2) << 15;
      }
      fast.exceptions = 0;
      exact.exceptions = 0;
      long actual = quick.apply(a, b, fast);
      long expected = careful.apply(a, b, exact);
      int flags = state.mxcsr & SseControl.ALL_EXCEPTIONS;
      if (actual != expected || (fast.exceptions | flags) != (exact.exceptions | flags)) {
        assertThat("%x exceptions %x".formatted(actual, fast.exceptions | flags))
            .as("%s of %x and %x under MXCSR %x", name, a, b, state.mxcsr)
            .isEqualTo("%x exceptions %x".formatted(expected, exact.exceptions | flags));
      }
    }
  }

  private void agreeDouble(String name, Operation quick, Operation careful) {
    agree(name, ExactArithmetic.DOUBLE, quick, careful);
  }

  private void agreeSingle(String name, Operation quick, Operation careful) {
    agree(
        name,
        ExactArithmetic.SINGLE,
        (a, b, control) -> quick.apply(a, b, control) & 0xFFFFFFFFL,
        careful);
  }

  @Test
  void doublesAgree() {
    int format = ExactArithmetic.DOUBLE;
    agreeDouble("sum", SseDouble::add, (a, b, c) -> ExactArithmetic.add(a, b, format, c));
    agreeDouble(
        "difference", SseDouble::subtract, (a, b, c) -> ExactArithmetic.subtract(a, b, format, c));
    agreeDouble(
        "product", SseDouble::multiply, (a, b, c) -> ExactArithmetic.multiply(a, b, format, c));
    agreeDouble(
        "quotient", SseDouble::divide, (a, b, c) -> ExactArithmetic.divide(a, b, format, c));
    agreeDouble(
        "root",
        (a, b, c) -> SseDouble.squareRoot(b, c),
        (a, b, c) -> ExactArithmetic.squareRoot(b, format, c));
  }

  @Test
  void singlesAgree() {
    int format = ExactArithmetic.SINGLE;
    agreeSingle(
        "sum",
        (a, b, c) -> SseSingle.add((int) a, (int) b, c),
        (a, b, c) -> ExactArithmetic.add(a, b, format, c));
    agreeSingle(
        "difference",
        (a, b, c) -> SseSingle.subtract((int) a, (int) b, c),
        (a, b, c) -> ExactArithmetic.subtract(a, b, format, c));
    agreeSingle(
        "product",
        (a, b, c) -> SseSingle.multiply((int) a, (int) b, c),
        (a, b, c) -> ExactArithmetic.multiply(a, b, format, c));
    agreeSingle(
        "quotient",
        (a, b, c) -> SseSingle.divide((int) a, (int) b, c),
        (a, b, c) -> ExactArithmetic.divide(a, b, format, c));
    agreeSingle(
        "root",
        (a, b, c) -> SseSingle.squareRoot((int) b, c),
        (a, b, c) -> ExactArithmetic.squareRoot(b, format, c));
  }

  @Test
  void conversionsAgree() {
    int format = ExactArithmetic.DOUBLE;
    agreeDouble(
        "single of a double",
        (a, b, c) -> SseConversions.doubleToSingle(a, c) & 0xFFFFFFFFL,
        (a, b, c) -> ExactArithmetic.toSingle(a, c));
    agreeSingle(
        "double of a single",
        (a, b, c) -> SseConversions.singleToDouble((int) a, c) & 0xFFFFFFFFL,
        (a, b, c) -> ExactArithmetic.toDouble(a, c) & 0xFFFFFFFFL);
    agreeDouble(
        "64-bit integer of a double",
        (a, b, c) -> SseConversions.truncateDouble(a, 64, c),
        (a, b, c) -> ExactArithmetic.toInteger(a, format, 64, SseControl.TRUNCATE, c));
    agreeDouble(
        "32-bit integer of a double",
        (a, b, c) -> SseConversions.truncateDouble(a, 32, c),
        (a, b, c) -> ExactArithmetic.toInteger(a, format, 32, SseControl.TRUNCATE, c));
    agreeDouble(
        "double of an integer",
        (a, b, c) -> SseConversions.integerToDouble(a, c),
        (a, b, c) -> ExactArithmetic.fromInteger(a, format, c));
  }
}
