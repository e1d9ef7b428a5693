package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
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
   * @param data what its code finds as class data
   */
  static Translation load(byte[] classFile, Object data) {
    try {
      MethodHandles.Lookup lookup =
          MethodHandles.lookup().defineHiddenClassWithClassData(classFile, data, true);
      Class<?> type = lookup.lookupClass();
      MethodHandle constructor = lookup.findConstructor(type, MethodType.methodType(void.class));
      CompiledCode code = (CompiledCode) constructor.invoke();
      for (Method method : type.getDeclaredMethods()) {
        if (method.getName().equals("run")) {
          return new Translation(code, method, classFile.length);
        }
      }
      throw new IllegalStateException("generated code has no method to run");
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("generated code is refused", e);
    }
  }
}
