package io.anillo.vmm.x86.interpret;

import java.util.List;

/** A block that was offered to be compiled. */
record BlockSite(CodeCache cache, Block block) implements HotCode.Site {
  @Override
  public boolean current() {
    return block.current();
  }

  @Override
  public int heat() {
    return block.heat;
  }

  @Override
  public int instructions() {
    return block.instructions();
  }

  @Override
  public long expected() {
    return block.expected();
  }

  @Override
  public void rearm() {
    block.offerAgain();
  }

  @Override
  public boolean use(CompiledCode code) {
    return cache.use(block, code);
  }

  @Override
  public HotCode.Snapshot snapshot(List<Long> physicalPages) {
    return cache.snapshot(block, physicalPages);
  }
}
