package io.anillo.cli.techniques;

import io.anillo.vmm.machine.MachineConfig.Engine;

/** A way to run a guest whose kernel expects to have the machine for itself. */
enum Technique {
  INTERPRET("interpretation", Engine.INTERPRET, false),
  TRANSLATE("translation", Engine.TRANSLATE, false),
  /** An aware guest, on the engine that needs nothing of the host. */
  PARAVIRTUAL("paravirtual", Engine.TRANSLATE, true),
  HARDWARE("hardware", Engine.KVM, false);

  final String title;
  final Engine engine;
  final boolean paravirtual;

  Technique(String title, Engine engine, boolean paravirtual) {
    this.title = title;
    this.engine = engine;
    this.paravirtual = paravirtual;
  }
}
