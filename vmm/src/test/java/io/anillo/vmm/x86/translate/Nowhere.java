package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodeHints;

/** Nobody asks for the surroundings here. */
record Nowhere() implements CodeHints {
  @Override
  public long linear() {
    return 0;
  }

  @Override
  public long physical() {
    return 0;
  }

  @Override
  public long physicalPage(long linearPage) {
    return -1;
  }

  @Override
  public int heat(long physical) {
    return 0;
  }

  @Override
  public long key(long physical) {
    return 0;
  }

  @Override
  public int compiled(long physical) {
    return 0;
  }

  @Override
  public long[] registers() {
    return new long[16];
  }

  @Override
  public long[] targets(long linear) {
    return new long[0];
  }
}
