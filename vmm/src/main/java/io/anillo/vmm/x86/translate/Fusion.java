package io.anillo.vmm.x86.translate;

/**
 * What the flags were set by, so that a condition right behind it can be a plain Java comparison.
 *
 * @param kind how the flags came about
 * @param sizeBytes width of the operands
 * @param first for a comparison the local of its first operand (a long for 8 bytes, else an int)
 * @param second the local of its second operand
 */
record Fusion(Kind kind, int sizeBytes, int first, int second) {
  static final Fusion NONE = new Fusion(Kind.UNKNOWN, 0, 0, 0);

  /** Flags without operands: CF and OF are clear, the rest is of the result. */
  static Fusion logic(int sizeBytes) {
    return new Fusion(Kind.LOGIC, sizeBytes, 0, 0);
  }

  /** The kinds of flag setters. */
  enum Kind {
    UNKNOWN,
    /** CMP or SUB. */
    COMPARISON,
    /** AND, OR, XOR, TEST. */
    LOGIC
  }
}
