package io.anillo.vmm.cpu;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * What a processor remembers of the paravirtual interface: the registers by which an aware guest
 * named its shared pages, as it wrote them, and a kick that no HLT has used up yet.
 */
public final class ParavirtualRegisters {
  /** Where the clock page lies, bit 0 set while it is in use. */
  public long systemTime;

  /** Where wall-clock time was last asked for. */
  public long wallClock;

  /** Where the steal-time record lies, bit 0 set while it is in use. */
  public long stealTime;

  /** Nanoseconds for which this processor could not run though it wanted to. */
  public long stolenNanos;

  /** The next HLT, or the one the processor is in, ends at once. */
  public boolean kicked;

  public void reset() {
    systemTime = 0;
    wallClock = 0;
    stealTime = 0;
    stolenNanos = 0;
    kicked = false;
  }

  void save(StateWriter out) {
    out.putLong(systemTime).putLong(wallClock).putLong(stealTime).putLong(stolenNanos);
    out.putBoolean(kicked);
  }

  void restore(StateReader in) {
    systemTime = in.getLong();
    wallClock = in.getLong();
    stealTime = in.getLong();
    stolenNanos = in.getLong();
    kicked = in.getBoolean();
  }
}
