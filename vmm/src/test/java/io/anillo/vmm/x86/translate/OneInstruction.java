package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import java.util.List;

/** A block of one instruction. */
final class OneInstruction implements HotCode.Site {
  private final long expected;
  int heat;
  boolean rearmed;

  OneInstruction(int heat, long expected) {
    this.heat = heat;
    this.expected = expected;
  }

  @Override
  public boolean current() {
    return true;
  }

  @Override
  public int heat() {
    return heat;
  }

  @Override
  public int instructions() {
    return 1;
  }

  @Override
  public long expected() {
    return expected;
  }

  @Override
  public void rearm() {
    rearmed = true;
  }

  @Override
  public boolean use(CompiledCode code) {
    throw new UnsupportedOperationException();
  }

  @Override
  public HotCode.Snapshot snapshot(List<Long> physicalPages) {
    throw new UnsupportedOperationException();
  }
}
