package io.anillo.vmm.device.timer;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.CountedLine;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The 8254 interval timer at ports 0x40 to 0x43, with the system control port 0x61 that gates and
 * shows its third counter. The first counter's output is interrupt 0.
 *
 * <p>Guests count the periodic interrupt to tell the time, and Linux refuses to boot when too few
 * come. A host that is late, or a guest that is slower than real time, would let some be lost: they
 * are sent later, one whenever a processor has taken the one before, up to a second of them.
 */
public final class Pit8254 implements Device, BytePortDevice {
  /** Ticks per second: a third of the colour subcarrier of NTSC. */
  public static final long FREQUENCY = 1_193_182;

  private static final int STATE_VERSION = 2;
  private static final long SECOND = 1_000_000_000L;

  /**
   * The memory refresh of the first PCs, whose toggle old delay loops count, took place this often.
   */
  private static final long REFRESH_NANOS = 15_085;

  /** Shorter periods than 100 us are not made up for: the guest would do nothing else. */
  private static final int SHORTEST_MADE_UP = (int) (FREQUENCY / 10_000);

  private final Board board;
  private final CountedLine interrupt;
  private final BoardTimer timer;
  private final PitChannel[] channels = {new PitChannel(), new PitChannel(), new PitChannel()};
  private boolean speaker;

  /** The tick of the edge that the timer is armed for. */
  private long due;

  /** Periodic interrupts that no processor has seen, to be sent later. */
  private int lost;

  private long interrupts;
  private long madeUp;

  /**
   * What happened so far.
   *
   * @param interrupts interrupts sent, those made up for included
   * @param madeUp interrupts sent later than they were due
   */
  public record Metrics(long interrupts, long madeUp) {}

  public Pit8254(Board board, CountedLine interrupt) {
    this.board = board;
    this.interrupt = interrupt;
    this.timer = board.timer("pit", this::rise);
    interrupt.onTaken(this::sendLost);
    board.bus().mapPorts(0x40, 4, this);
    board.bus().mapPorts(0x61, 1, this);
  }

  public Metrics metrics() {
    return new Metrics(interrupts, madeUp);
  }

  static long ticks(long nanos) {
    return nanos / SECOND * FREQUENCY + nanos % SECOND * FREQUENCY / SECOND;
  }

  /** The first nanosecond at which {@link #ticks} gives {@code ticks}. */
  static long nanos(long ticks) {
    return ticks / FREQUENCY * SECOND + (ticks % FREQUENCY * SECOND + FREQUENCY - 1) / FREQUENCY;
  }

  private long now() {
    return ticks(board.nowNanos());
  }

  private void rise() {
    long now = now();
    int period = channels[0].period();
    if (period < SHORTEST_MADE_UP || !interrupt.open()) {
      lost = 0;
    } else {
      long missed = (now - due) / period + (interrupt.waiting() ? 1 : 0);
      lost = (int) Math.min(lost + missed, FREQUENCY / period);
    }
    send();
    arm(now);
  }

  private void send() {
    interrupts++;
    interrupt.set(false);
    interrupt.set(true);
  }

  /** A processor has taken an interrupt. */
  private void sendLost() {
    if (lost > 0) {
      lost--;
      madeUp++;
      send();
    }
  }

  private void arm(long now) {
    long next = channels[0].nextRise(now);
    if (next == Long.MAX_VALUE) {
      timer.cancel();
    } else {
      due = next;
      timer.arm(nanos(next));
    }
  }

  /** The first counter was programmed: its output may have changed, and its next edge has. */
  private void changed(long now) {
    lost = 0;
    interrupt.set(channels[0].output(now));
    arm(now);
  }

  @Override
  public int readByte(int port) {
    if (port >= 0x40 && port <= 0x42) {
      return channels[port - 0x40].read(now());
    }
    if (port == 0x61) {
      long nanos = board.nowNanos();
      return (channels[2].gate() ? 1 : 0)
          | (speaker ? 2 : 0)
          | (int) (nanos / REFRESH_NANOS & 1) << 4
          | (channels[2].output(ticks(nanos)) ? 0x20 : 0);
    }
    return 0xFF;
  }

  @Override
  public void writeByte(int port, int value) {
    if (port == 0x43) {
      control(value);
    } else if (port >= 0x40 && port <= 0x42) {
      long now = now();
      channels[port - 0x40].write(value, now);
      if (port == 0x40) {
        changed(now);
      }
    } else if (port == 0x61) {
      speaker = (value & 2) != 0;
      channels[2].setGate((value & 1) != 0, now());
    }
  }

  private void control(int value) {
    long now = now();
    int selected = value >> 6;
    if (selected == 3) {
      for (int i = 0; i < 3; i++) {
        if ((value & 2 << i) != 0) {
          if ((value & 0x20) == 0) {
            channels[i].latchCount(now);
          }
          if ((value & 0x10) == 0) {
            channels[i].latchStatus(now);
          }
        }
      }
    } else if ((value & 0x30) == 0) {
      channels[selected].latchCount(now);
    } else {
      channels[selected].control(value, now);
      if (selected == 0) {
        changed(now);
      }
    }
  }

  @Override
  public String name() {
    return "pit";
  }

  @Override
  public void reset() {
    channels[0].reset(true);
    channels[1].reset(true);
    channels[2].reset(false);
    speaker = false;
    lost = 0;
    timer.cancel();
    interrupt.set(false);
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putBoolean(speaker);
    out.putBoolean(timer.armed()).putLong(timer.deadlineNanos()).putInt(lost);
    for (PitChannel channel : channels) {
      channel.save(out);
    }
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    speaker = in.getBoolean();
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    lost = Math.clamp(in.getInt(), 0, (int) FREQUENCY / SHORTEST_MADE_UP);
    for (PitChannel channel : channels) {
      channel.restore(in);
    }
    if (armed) {
      due = ticks(deadline);
      timer.arm(deadline);
    } else {
      timer.cancel();
    }
  }
}
