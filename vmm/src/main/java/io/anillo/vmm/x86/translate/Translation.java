package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Method;

/**
 * The class that was made of a region, loaded.
 *
 * @param code its only object
 * @param method its {@code run}
 * @param bytes length of its class file
 */
record Translation(CompiledCode code, Method method, int bytes) {

  /**
   * Loads a class file that {@link RegionCompiler} wrote.
   *
   * @param machine that its code runs on
   */
  static Translation load(byte[] classFile, RegionMachine machine) {
    try {
      MethodHandles.Lookup region = MethodHandles.lookup().defineHiddenClass(classFile, false);
      Class<?> type = region.lookupClass();
      CompiledCode code = Handover.initialize(region, machine);
      for (Method method : type.getDeclaredMethods()) {
        if (method.getName().equals("run")) {
          return new Translation(code, method, classFile.length);
        }
      }
    } catch (IllegalAccessException e) {
      throw new IllegalStateException("generated code is refused", e);
    }
    throw new IllegalStateException("generated code has no method to run");
  }
}
