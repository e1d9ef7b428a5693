package io.anillo.vmm.x86.decode;

import java.util.List;

/**
 * One line of the instruction table.
 *
 * @param prefix the mandatory prefix: 0 none asked for, 1 = np, else 0x66, 0xF3, 0xF2
 * @param extension what ModRM.reg must be, or -1
 * @param memory whether ModRM.rm must be memory (1), a register (0), or may be either (-1)
 * @param exactModrm the whole ModRM byte, or -1
 * @param operands operand codes such as {@code Ev}
 * @param validity in which modes the form exists
 * @param stackSize how the operand size is chosen in 64-bit mode
 */
record InstructionForm(
    int prefix,
    int extension,
    int memory,
    int exactModrm,
    Operation operation,
    List<String> operands,
    Validity validity,
    StackSize stackSize,
    boolean lockable) {

  /** In which modes a form exists. */
  enum Validity {
    ALWAYS,
    NOT_64,
    ONLY_64
  }

  /** How the operand size is chosen in 64-bit mode. */
  enum StackSize {
    NORMAL,
    DEFAULT_64,
    FORCED_64
  }

  boolean needsModrm() {
    if (extension >= 0 || memory >= 0 || exactModrm >= 0) {
      return true;
    }
    for (String operand : operands) {
      if ("EGMSCDVWPQRXU".indexOf(operand.charAt(0)) >= 0
          && !InstructionTable.isFixedRegister(operand)) {
        return true;
      }
    }
    return false;
  }

  boolean matchesMode(boolean code64) {
    return switch (validity) {
      case ALWAYS -> true;
      case NOT_64 -> !code64;
      case ONLY_64 -> code64;
    };
  }

  boolean matchesModrm(int modrm) {
    boolean register = modrm >= 0xC0;
    return (extension < 0 || (modrm >> 3 & 7) == extension)
        && (memory < 0 || (memory == 0) == register)
        && (exactModrm < 0 || modrm == exactModrm);
  }
}
