package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.lang.invoke.MethodHandles;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How the class of a region gets what its code has as a constant, and hands out its only object,
 * when it is initialized. Class data and method handles would do the same, but linking them takes
 * as long as everything else about a small class.
 */
final class Handover {
  static long @Nullable [] tlb;
  static @Nullable CompiledCode code;

  private Handover() {}

  /** Initializes a region's class: one at a time, whoever translates. */
  static synchronized CompiledCode initialize(MethodHandles.Lookup region, RegionMachine machine)
      throws IllegalAccessException {
    tlb = machine.tlb().entries();
    try {
      region.ensureInitialized(region.lookupClass());
      return Objects.requireNonNull(code);
    } finally {
      tlb = null;
      code = null;
    }
  }
}
