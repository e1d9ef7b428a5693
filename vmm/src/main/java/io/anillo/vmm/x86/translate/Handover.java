package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import org.jspecify.annotations.Nullable;

/**
 * The class data of a region's class, with which it is initialized: it takes what it needs of the
 * machine, and leaves its only object. Method handles would do the same, but linking them takes as
 * long as everything else about a small class.
 */
final class Handover {
  final RegionMachine machine;
  @Nullable CompiledCode code;

  Handover(RegionMachine machine) {
    this.machine = machine;
  }
}
