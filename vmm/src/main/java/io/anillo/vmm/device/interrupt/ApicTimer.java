package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * The timer of a local APIC (Intel SDM vol. 3A §11.5.4). Its bus clock and the time stamp counter
 * both run at 1 GHz, so that a tick is a virtual nanosecond.
 */
final class ApicTimer {
  static final int ONE_SHOT = 0, PERIODIC = 1, TSC_DEADLINE = 2;

  /** A periodic timer shorter than this would leave the guest no time to run. */
  private static final long SHORTEST_PERIOD_NANOS = 20_000;

  private final Board board;
  private final LongSupplier tscOffset;
  private final Runnable onExpiry;
  private final BoardTimer timer;
  private int mode;
  private int initialCount;
  private int divideConfiguration;
  private long start;
  private long deadlineTsc;

  /** Whether the host's kernel has the timer: what is armed is then only remembered. */
  private final BooleanSupplier carried;

  private boolean heldArmed;
  private long heldDeadline;

  ApicTimer(
      Board board,
      String name,
      LongSupplier tscOffset,
      Runnable onExpiry,
      BooleanSupplier carried) {
    this.carried = carried;
    this.board = board;
    this.tscOffset = tscOffset;
    this.onExpiry = onExpiry;
    this.timer = board.timer(name, this::expired);
  }

  void reset() {
    mode = ONE_SHOT;
    initialCount = 0;
    divideConfiguration = 0;
    start = 0;
    deadlineTsc = 0;
    heldArmed = false;
    heldDeadline = 0;
    timer.cancel();
  }

  private int divider() {
    int code = divideConfiguration & 3 | divideConfiguration >> 1 & 4;
    return code == 7 ? 1 : 2 << code;
  }

  private long periodNanos() {
    return (initialCount & 0xFFFFFFFFL) * divider();
  }

  void setMode(int newMode) {
    if (mode != newMode) {
      boolean deadlineInvolved = mode == TSC_DEADLINE || newMode == TSC_DEADLINE;
      mode = newMode;
      if (deadlineInvolved) {
        timer.cancel();
        deadlineTsc = 0;
        initialCount = 0;
      }
    }
  }

  int initialCount() {
    return initialCount;
  }

  void setInitialCount(int value) {
    if (mode == TSC_DEADLINE) {
      return;
    }
    initialCount = value;
    if (value == 0) {
      timer.cancel();
    } else {
      start = board.nowNanos();
      timer.arm(start + periodNanos());
    }
  }

  int currentCount() {
    if (mode == TSC_DEADLINE || initialCount == 0) {
      return 0;
    }
    long period = periodNanos();
    long elapsed = Math.max(0, board.nowNanos() - start);
    if (mode == PERIODIC) {
      elapsed %= period;
    }
    return elapsed >= period ? 0 : (int) ((period - elapsed + divider() - 1) / divider());
  }

  int divideConfiguration() {
    return divideConfiguration;
  }

  void setDivideConfiguration(int value) {
    int count = currentCountIfRunning();
    divideConfiguration = value & 0xB;
    if (count != 0) {
      // Counting goes on from where it is, at the new rate.
      long now = board.nowNanos();
      start = now - ((initialCount & 0xFFFFFFFFL) - (count & 0xFFFFFFFFL)) * divider();
      timer.arm(start + periodNanos());
    }
  }

  private int currentCountIfRunning() {
    return timer.armed() && mode != TSC_DEADLINE ? currentCount() : 0;
  }

  long deadlineTsc() {
    return mode == TSC_DEADLINE && timer.armed() ? deadlineTsc : 0;
  }

  void setDeadlineTsc(long value) {
    if (mode != TSC_DEADLINE) {
      return;
    }
    deadlineTsc = value;
    armDeadline();
  }

  /** The processor's offset between the board's clock and its time stamp counter changed. */
  void tscOffsetChanged() {
    if (mode == TSC_DEADLINE && timer.armed()) {
      armDeadline();
    }
  }

  private void armDeadline() {
    if (deadlineTsc == 0) {
      timer.cancel();
    } else {
      timer.arm(deadlineNanos());
    }
  }

  private long deadlineNanos() {
    long offset = tscOffset.getAsLong();
    long nanos = deadlineTsc - offset;
    // Unsigned: deadlines from 2^63 lie centuries away. One before virtual moment 0 has long
    // passed.
    boolean never = deadlineTsc < 0 || offset < 0 && nanos < 0;
    return never ? Long.MAX_VALUE - 1 : Math.max(0, nanos);
  }

  private void expired() {
    if (mode == PERIODIC) {
      long now = board.nowNanos();
      long period = periodNanos();
      long next = period == 0 ? Long.MAX_VALUE - 1 : start + ((now - start) / period + 1) * period;
      timer.arm(Math.max(next, now + SHORTEST_PERIOD_NANOS));
    }
    onExpiry.run();
  }

  // ---- where the host's kernel has the timer

  /** Remembers the registers of a timer that somebody else has. */
  void hold(int newMode, int initial, int current, int divide, long newDeadlineTsc) {
    mode = newMode;
    initialCount = initial;
    divideConfiguration = divide & 0xB;
    deadlineTsc = newDeadlineTsc;
    if (mode == TSC_DEADLINE) {
      heldArmed = deadlineTsc != 0;
      heldDeadline = heldArmed ? deadlineNanos() : 0;
      return;
    }
    long left = (current & 0xFFFF_FFFFL) * divider();
    heldArmed = initial != 0 && (current != 0 || mode == PERIODIC);
    heldDeadline = heldArmed ? board.nowNanos() + left : 0;
    start = heldDeadline - periodNanos();
  }

  /** What the remembered timer would count now. */
  int heldCount() {
    if (!heldArmed || mode == TSC_DEADLINE) {
      return 0;
    }
    long left = Math.max(0, heldDeadline - board.nowNanos()) / divider();
    return (int) Math.clamp(left, 1, initialCount & 0xFFFF_FFFFL);
  }

  /** The remembered deadline, or 0. */
  long heldDeadlineTsc() {
    return heldArmed && mode == TSC_DEADLINE ? deadlineTsc : 0;
  }

  void save(StateWriter out) {
    out.putInt(mode)
        .putInt(initialCount)
        .putInt(divideConfiguration)
        .putLong(start)
        .putLong(deadlineTsc);
    if (carried.getAsBoolean()) {
      out.putBoolean(heldArmed).putLong(heldDeadline);
    } else {
      out.putBoolean(timer.armed()).putLong(timer.deadlineNanos());
    }
  }

  void restore(StateReader in) {
    mode = in.getInt() & 3;
    initialCount = in.getInt();
    divideConfiguration = in.getInt() & 0xB;
    start = in.getLong();
    deadlineTsc = in.getLong();
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    if (carried.getAsBoolean()) {
      heldArmed = armed;
      heldDeadline = deadline;
    } else if (armed) {
      timer.arm(deadline);
    } else {
      timer.cancel();
    }
  }
}
