package io.anillo.vmm.x86.vector;

/**
 * The interpreter without single-step: the cases' instruction runs inside a block with the
 * breakpoint behind it, as code usually runs.
 */
final class BlockwiseTarget implements VectorTarget {
  private static final int SINGLE_STEP = 1, BREAKPOINT = 3;
  private static final int TF = 0x100;

  private final InterpretedTarget target;

  BlockwiseTarget(InterpretedTarget target) {
    this.target = target;
  }

  @Override
  public void useImage(byte[] image) {
    target.useImage(image);
  }

  /** Whether the case ends in front of a breakpoint, so that it can do without the trap flag. */
  static boolean canRun(VectorCase c, VectorOutcome expected) {
    if (!c.singleStep() || expected.vector != SINGLE_STEP) {
      return false;
    }
    long at = expected.rip - c.rip;
    long page = expected.rip + c.segments().codeBase() - VectorLayout.CODE;
    boolean inCode = page >= 0 && page < VectorLayout.CODE_BYTES;
    return inCode && (at < 0 || at >= c.code.length);
  }

  @Override
  public VectorOutcome run(VectorCase c) {
    int flags = c.flags;
    c.flags &= ~TF;
    try {
      VectorOutcome outcome = target.run(c);
      if (outcome.vector == BREAKPOINT) {
        // What single-step would have shown.
        outcome.vector = SINGLE_STEP;
        outcome.rip--;
        outcome.flags |= TF;
      }
      return outcome;
    } finally {
      c.flags = flags;
    }
  }
}
