package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Operation;

/** Which operations transfer control, and how. */
final class Branches {
  private Branches() {}

  static boolean isConditional(Operation operation) {
    return switch (operation) {
      case JO, JNO, JB, JAE, JE, JNE, JBE, JA, JS, JNS, JP, JNP, JL, JGE, JLE, JG -> true;
      default -> false;
    };
  }

  /** Jcc and JMP with a displacement: the target is known. */
  static boolean isDirect(Operation operation) {
    return operation == Operation.JMP || isConditional(operation);
  }

  /** Operations behind which execution does not simply go on. */
  static boolean endsBlock(Operation operation) {
    return switch (operation) {
      case JMP, CALL, RET, JMP_INDIRECT, CALL_INDIRECT -> true;
      default -> false;
    };
  }
}
