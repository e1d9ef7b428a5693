package io.anillo.vmm.x86.execute.simd;

import static io.anillo.vmm.x86.execute.simd.PackedIntegerInstructions.wrongShape;

/** The moves into an XMM register: shape {@link SimdOperation.Shape#MOVE}. */
final class MoveInstructions {
  private static final long UPPER = 0xFFFFFFFF00000000L;
  private static final long LOWER = 0xFFFFFFFFL;

  private MoveInstructions() {}

  static void execute(
      SimdOperation operation, long[] xmm, int destination, long low, long high, int form) {
    int at = destination << 1;
    boolean memory = (form & SimdUnit.FORM_MEMORY) != 0;
    switch (operation) {
      case MOVAPS, MOVAPD, MOVDQA, MOVNTDQA, MOVUPS, MOVUPD, MOVDQU, LDDQU -> {
        xmm[at] = low;
        xmm[at + 1] = high;
      }
      case MOVSS -> {
        // From memory the rest of the register is cleared, from a register it stays.
        if (memory) {
          xmm[at] = low & LOWER;
          xmm[at + 1] = 0;
        } else {
          xmm[at] = (xmm[at] & UPPER) | (low & LOWER);
        }
      }
      case MOVSD_SSE -> {
        xmm[at] = low;
        if (memory) {
          xmm[at + 1] = 0;
        }
      }
      case MOVD -> {
        xmm[at] = (form & SimdUnit.FORM_WIDE) != 0 ? low : low & LOWER;
        xmm[at + 1] = 0;
      }
      case MOVQ -> {
        xmm[at] = low;
        xmm[at + 1] = 0;
      }
      case MOVLPS, MOVLPD -> xmm[at] = low;
      case MOVHPS, MOVHPD, MOVLHPS -> xmm[at + 1] = low;
      case MOVHLPS -> xmm[at] = high;
      case MOVSLDUP -> {
        xmm[at] = (low & LOWER) | low << 32;
        xmm[at + 1] = (high & LOWER) | high << 32;
      }
      case MOVSHDUP -> {
        xmm[at] = (low & UPPER) | low >>> 32;
        xmm[at + 1] = (high & UPPER) | high >>> 32;
      }
      case MOVDDUP -> {
        xmm[at] = low;
        xmm[at + 1] = low;
      }
      default -> throw wrongShape(operation);
    }
  }
}
