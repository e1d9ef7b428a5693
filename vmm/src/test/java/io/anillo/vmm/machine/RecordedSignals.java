package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.CpuSignals;
import java.util.ArrayList;
import java.util.List;

/** A processor that only notes what the board does to it. */
public final class RecordedSignals implements CpuSignals {
  public final List<String> events = new ArrayList<>();
  public volatile int kicks;

  @Override
  public synchronized void kick() {
    kicks++;
  }

  @Override
  public synchronized void nmi() {
    events.add("nmi");
  }

  @Override
  public synchronized void wake() {
    events.add("wake");
  }

  @Override
  public synchronized void init() {
    events.add("init");
  }

  @Override
  public synchronized void startup(int vector) {
    events.add("startup " + vector);
  }
}
