package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.PackedIntegerInstructions.wrongShape;

/** The floating-point instructions by operation; exceptions go to the {@link SseControl}. */
final class FloatInstructions {
  private FloatInstructions() {}

  /** One half of shape {@link SimdOperation.Shape#PACKED_SINGLE}. */
  static long packedSingle(
      SimdOperation operation, long a, long b, int immediate, SseControl control) {
    return switch (operation) {
      case ADDPS -> SseSingle.addPair(a, b, control);
      case SUBPS -> SseSingle.subtractPair(a, b, control);
      case MULPS -> SseSingle.multiplyPair(a, b, control);
      case DIVPS -> SseSingle.dividePair(a, b, control);
      case MINPS -> SseSingle.minimumPair(a, b, control);
      case MAXPS -> SseSingle.maximumPair(a, b, control);
      case SQRTPS -> SseSingle.squareRootPair(b, control);
      case CMPPS -> SseSingle.comparePair(a, b, immediate, control);
      case ADDSUBPS -> {
        int low = SseSingle.subtract((int) a, (int) b, control);
        yield SseSingle.pair(low, SseSingle.add((int) (a >> 32), (int) (b >> 32), control));
      }
      case ROUNDPS -> {
        int low = SseConversions.roundToIntegralSingle((int) b, immediate, control);
        yield SseSingle.pair(
            low, SseConversions.roundToIntegralSingle((int) (b >> 32), immediate, control));
      }
      case RCPPS ->
          SseSingle.pair(
              SseConversions.reciprocal((int) b), SseConversions.reciprocal((int) (b >> 32)));
      case RSQRTPS ->
          SseSingle.pair(
              SseConversions.reciprocalSquareRoot((int) b),
              SseConversions.reciprocalSquareRoot((int) (b >> 32)));
      default -> throw wrongShape(operation);
    };
  }

  /** Shape {@link SimdOperation.Shape#SCALAR_SINGLE}. */
  static int single(SimdOperation operation, int a, int b, int immediate, SseControl control) {
    return switch (operation) {
      case ADDSS -> SseSingle.add(a, b, control);
      case SUBSS -> SseSingle.subtract(a, b, control);
      case MULSS -> SseSingle.multiply(a, b, control);
      case DIVSS -> SseSingle.divide(a, b, control);
      case MINSS -> SseSingle.minimum(a, b, control);
      case MAXSS -> SseSingle.maximum(a, b, control);
      case SQRTSS -> SseSingle.squareRoot(b, control);
      case CMPSS -> SseSingle.compare(a, b, immediate, control);
      case ROUNDSS -> SseConversions.roundToIntegralSingle(b, immediate, control);
      case RCPSS -> SseConversions.reciprocal(b);
      case RSQRTSS -> SseConversions.reciprocalSquareRoot(b);
      default -> throw wrongShape(operation);
    };
  }

  /**
   * Shape {@link SimdOperation.Shape#SCALAR_DOUBLE}, and the low half of {@link
   * SimdOperation.Shape#PACKED_DOUBLE}.
   */
  static long doubleLow(
      SimdOperation operation, long a, long b, int immediate, SseControl control) {
    return switch (operation) {
      case ADDPD, ADDSD -> SseDouble.add(a, b, control);
      case SUBPD, SUBSD, ADDSUBPD -> SseDouble.subtract(a, b, control);
      case MULPD, MULSD -> SseDouble.multiply(a, b, control);
      case DIVPD, DIVSD -> SseDouble.divide(a, b, control);
      case MINPD, MINSD -> SseDouble.minimum(a, b, control);
      case MAXPD, MAXSD -> SseDouble.maximum(a, b, control);
      case SQRTPD, SQRTSD -> SseDouble.squareRoot(b, control);
      case CMPPD, CMPSD_SSE -> SseDouble.compare(a, b, immediate, control);
      case ROUNDPD, ROUNDSD -> SseConversions.roundToIntegralDouble(b, immediate, control);
      default -> throw wrongShape(operation);
    };
  }

  /** The high half of {@link SimdOperation.Shape#PACKED_DOUBLE}. */
  static long doubleHigh(
      SimdOperation operation, long a, long b, int immediate, SseControl control) {
    return operation == SimdOperation.ADDSUBPD
        ? SseDouble.add(a, b, control)
        : doubleLow(operation, a, b, immediate, control);
  }

  /** Whether an operation of shape {@link SimdOperation.Shape#PAIRS} is one of floating point. */
  static boolean isHorizontal(SimdOperation operation) {
    return switch (operation) {
      case HADDPS, HADDPD, HSUBPS, HSUBPD -> true;
      default -> false;
    };
  }

  /** The floating-point instructions of shape {@link SimdOperation.Shape#PAIRS}. */
  static long horizontal(SimdOperation operation, long first, long second, SseControl control) {
    return switch (operation) {
      case HADDPD -> SseDouble.add(first, second, control);
      case HSUBPD -> SseDouble.subtract(first, second, control);
      case HADDPS -> {
        int low = sumOfSingles(first, control);
        yield SseSingle.pair(low, sumOfSingles(second, control));
      }
      case HSUBPS -> {
        int low = SseSingle.subtract((int) first, (int) (first >> 32), control);
        yield SseSingle.pair(low, SseSingle.subtract((int) second, (int) (second >> 32), control));
      }
      default -> throw wrongShape(operation);
    };
  }

  /** Two products of DPPS, zero where the low bits of {@code selection} leave one out. */
  static long productsOfSingles(long a, long b, int selection, SseControl control) {
    int low = (selection & 1) != 0 ? SseSingle.multiply((int) a, (int) b, control) : 0;
    int high =
        (selection & 2) != 0 ? SseSingle.multiply((int) (a >> 32), (int) (b >> 32), control) : 0;
    return SseSingle.pair(low, high);
  }

  /** The sum of two singles side by side. */
  static int sumOfSingles(long pair, SseControl control) {
    return SseSingle.add((int) pair, (int) (pair >> 32), control);
  }

  // ---- conversions of two lanes
  // -------------------------------------------------------------------

  /** CVTPS2DQ, CVTTPS2DQ, CVTPS2PI, CVTTPS2PI on two singles. */
  static long singlesToIntegers(long b, boolean truncate, SseControl control) {
    int low = singleToInteger((int) b, truncate, control);
    return SseSingle.pair(low, singleToInteger((int) (b >> 32), truncate, control));
  }

  private static int singleToInteger(int b, boolean truncate, SseControl control) {
    return (int)
        (truncate
            ? SseConversions.truncateSingle(b, 32, control)
            : SseConversions.roundSingle(b, 32, control));
  }

  /** CVTPD2DQ, CVTTPD2DQ, CVTPD2PI, CVTTPD2PI. */
  static long doublesToIntegers(long low, long high, boolean truncate, SseControl control) {
    int first = doubleToInteger(low, truncate, control);
    return SseSingle.pair(first, doubleToInteger(high, truncate, control));
  }

  private static int doubleToInteger(long b, boolean truncate, SseControl control) {
    return (int)
        (truncate
            ? SseConversions.truncateDouble(b, 32, control)
            : SseConversions.roundDouble(b, 32, control));
  }

  /** CVTDQ2PS, CVTPI2PS on two doublewords. */
  static long integersToSingles(long b, SseControl control) {
    int low = SseConversions.integerToSingle((int) b, control);
    return SseSingle.pair(low, SseConversions.integerToSingle((int) (b >> 32), control));
  }

  /** CVTPD2PS. */
  static long doublesToSingles(long low, long high, SseControl control) {
    int first = SseConversions.doubleToSingle(low, control);
    return SseSingle.pair(first, SseConversions.doubleToSingle(high, control));
  }
}
