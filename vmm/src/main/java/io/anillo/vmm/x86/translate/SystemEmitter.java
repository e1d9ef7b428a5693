package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.decode.Operation;
import io.anillo.vmm.x86.interpret.ShortSystemSteps;
import java.lang.classfile.CodeBuilder;
import java.lang.constant.ClassDesc;
import org.jspecify.annotations.Nullable;

/**
 * Privileged instructions of a kernel's entry and exit, which read and write no general register:
 * short calls, without storing and loading what is in locals.
 */
final class SystemEmitter {
  private static final ClassDesc STEPS = Names.of(ShortSystemSteps.class);

  private SystemEmitter() {}

  /** Whether there is code for an operation, which goes on behind it. */
  static boolean knows(Operation operation) {
    return shortStep(operation) != null;
  }

  private static @Nullable String shortStep(Operation operation) {
    return switch (operation) {
      case STI -> "enableInterrupts";
      case CLI -> "disableInterrupts";
      case STAC, CLAC -> "allowUserAccess";
      case SWAPGS -> "swapGs";
      default -> null;
    };
  }

  /** Writes an instruction; false, with nothing written, when there is no code for it. */
  static boolean emit(Frame frame, Operation operation) {
    String name = shortStep(operation);
    if (name == null) {
      return false;
    }
    CodeBuilder code = frame.code;
    code.aload(frame.cpu);
    switch (operation) {
      case STAC, CLAC -> {
        code.loadConstant(operation == Operation.STAC ? 1 : 0);
        code.invokestatic(STEPS, name, Names.type(Names.Z, Names.CPU, Names.Z));
      }
      default -> code.invokestatic(STEPS, name, Names.type(Names.Z, Names.CPU));
    }
    code.ifeq(frame.sideExit());
    switch (operation) {
      case STAC, CLAC -> {
        frame.memory.forget();
        frame.memory.reload();
      }
      case SWAPGS -> {
        frame.memory.forget();
        frame.reloadBases();
      }
      default -> {}
    }
    return true;
  }
}
