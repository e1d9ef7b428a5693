package io.anillo.vmm.device.timer;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneOffset;

/**
 * The MC146818 real-time clock with its battery-backed memory, ports 0x70 and 0x71, interrupt 8
 * (Motorola MC146818 data sheet, ADI-856). Starts at the board's wall clock, in UTC.
 *
 * <p>Nothing ticks: time is the board's plus a difference, and flags are computed from what went by
 * since they were last looked at. A timer is armed only for what can raise an interrupt.
 */
public final class RealTimeClock implements Device, BytePortDevice {
  static final int SECONDS = 0,
      SECONDS_ALARM = 1,
      MINUTES = 2,
      MINUTES_ALARM = 3,
      HOURS = 4,
      HOURS_ALARM = 5;
  static final int DAY_OF_WEEK = 6, DAY = 7, MONTH = 8, YEAR = 9, REGISTER_A = 10, REGISTER_B = 11;
  static final int REGISTER_C = 12, REGISTER_D = 13, CENTURY = 0x32;
  private static final int SET = 0x80,
      PERIODIC = 0x40,
      ALARM = 0x20,
      UPDATE = 0x10,
      BINARY = 4,
      HOURS_24 = 2;
  private static final int INTERRUPTS = PERIODIC | ALARM | UPDATE;
  private static final int STATE_VERSION = 1;
  private static final long SECOND = 1_000_000_000L;
  private static final long UPDATE_WARNING_NANOS = 244_000;
  private static final long OSCILLATOR = 32_768;

  private final Board board;
  private final InterruptLine interrupt;
  private final BoardTimer timer;
  private final byte[] memory = new byte[128];
  private int index;

  /** Nanoseconds since 1970 of the clock, minus those of the board. */
  private long difference;

  /** While the clock is being set or is stopped: its time in nanoseconds since 1970. */
  private long frozen;

  private long checked;
  private int flags;

  public RealTimeClock(Board board, InterruptLine interrupt) {
    this.board = board;
    this.interrupt = interrupt;
    this.timer = board.timer("rtc", this::due);
    this.difference = board.wallOriginNanos();
    memory[REGISTER_A] = 0x26;
    memory[REGISTER_B] = HOURS_24;
    writeTime(board.wallOriginNanos());
    board.bus().mapPorts(0x70, 2, this);
  }

  /**
   * Sets a byte of the battery-backed memory, as a firmware does: sizes of memory, for instance.
   */
  public void setMemory(int at, int value) {
    if (at <= REGISTER_D || at >= memory.length || at == CENTURY) {
      throw new IllegalArgumentException(
          "byte " + at + " of the clock's memory is not free: 14 to 127");
    }
    memory[at] = (byte) value;
  }

  private boolean running() {
    return (memory[REGISTER_B] & SET) == 0 && (memory[REGISTER_A] & 0x70) == 0x20;
  }

  // ---- calendar
  // -----------------------------------------------------------------------------------------------------

  private int encode(int value) {
    return (memory[REGISTER_B] & BINARY) != 0 ? value : value / 10 << 4 | value % 10;
  }

  private int decode(int raw) {
    return (memory[REGISTER_B] & BINARY) != 0 ? raw : (raw >> 4) * 10 + (raw & 15);
  }

  private int encodeHour(int hour) {
    if ((memory[REGISTER_B] & HOURS_24) != 0) {
      return encode(hour);
    }
    int twelve = hour % 12 == 0 ? 12 : hour % 12;
    return encode(twelve) | (hour >= 12 ? 0x80 : 0);
  }

  private int decodeHour(int raw) {
    if ((memory[REGISTER_B] & HOURS_24) != 0) {
      return decode(raw);
    }
    return decode(raw & 0x7F) % 12 + ((raw & 0x80) != 0 ? 12 : 0);
  }

  /** Puts a time, in nanoseconds since 1970, into the registers. */
  private void writeTime(long nanos) {
    LocalDateTime time =
        LocalDateTime.ofEpochSecond(Math.floorDiv(nanos, SECOND), 0, ZoneOffset.UTC);
    memory[SECONDS] = (byte) encode(time.getSecond());
    memory[MINUTES] = (byte) encode(time.getMinute());
    memory[HOURS] = (byte) encodeHour(time.getHour());
    memory[DAY_OF_WEEK] = (byte) encode(time.getDayOfWeek().getValue() % 7 + 1);
    memory[DAY] = (byte) encode(time.getDayOfMonth());
    memory[MONTH] = (byte) encode(time.getMonthValue());
    memory[YEAR] = (byte) encode(time.getYear() % 100);
    memory[CENTURY] = (byte) encode(time.getYear() / 100 % 100);
  }

  /**
   * The time in the registers, keeping the part below a second; impossible dates give {@code
   * otherwise}.
   */
  private long readTime(long otherwise) {
    try {
      long seconds =
          LocalDateTime.of(
                  decode(memory[CENTURY] & 0xFF) * 100 + decode(memory[YEAR] & 0xFF),
                  decode(memory[MONTH] & 0xFF),
                  decode(memory[DAY] & 0xFF),
                  decodeHour(memory[HOURS] & 0xFF),
                  decode(memory[MINUTES] & 0xFF),
                  decode(memory[SECONDS] & 0xFF))
              .toEpochSecond(ZoneOffset.UTC);
      // Beyond about 2262 nanoseconds do not fit.
      return Math.abs(seconds) < Long.MAX_VALUE / SECOND / 2
          ? seconds * SECOND + Math.floorMod(otherwise, SECOND)
          : otherwise;
    } catch (DateTimeException impossible) {
      return otherwise;
    }
  }

  private long time(long now) {
    return running() ? now + difference : frozen;
  }

  // ---- flags and interrupts
  // -----------------------------------------------------------------------------------------

  private long periodTicks() {
    int rate = memory[REGISTER_A] & 15;
    return rate == 0 ? 0 : 1L << (rate < 3 ? rate + 6 : rate - 1);
  }

  private static long oscillatorTicks(long nanos) {
    return Math.floorDiv(nanos, SECOND) * OSCILLATOR
        + Math.floorMod(nanos, SECOND) * OSCILLATOR / SECOND;
  }

  private static long oscillatorNanos(long ticks) {
    return Math.floorDiv(ticks, OSCILLATOR) * SECOND
        + (Math.floorMod(ticks, OSCILLATOR) * SECOND + OSCILLATOR - 1) / OSCILLATOR;
  }

  /**
   * The first second after {@code second} at which the alarm matches, at most a day later; or
   * Long.MAX_VALUE.
   */
  private long nextAlarm(long second) {
    long candidate = second + 1;
    long end = second + 86_400;
    while (candidate <= end) {
      int ofDay = (int) Math.floorMod(candidate, 86_400L);
      if (!matches(HOURS_ALARM, ofDay / 3600)) {
        candidate += 3600 - ofDay % 3600;
      } else if (!matches(MINUTES_ALARM, ofDay / 60 % 60)) {
        candidate += 60 - ofDay % 60;
      } else if (!matches(SECONDS_ALARM, ofDay % 60)) {
        candidate++;
      } else {
        return candidate;
      }
    }
    return Long.MAX_VALUE;
  }

  private boolean matches(int register, int value) {
    int alarm = memory[register] & 0xFF;
    if (alarm >= 0xC0) {
      return true; // "don't care"
    }
    return (register == HOURS_ALARM ? decodeHour(alarm) : decode(alarm)) == value;
  }

  /** Sets the flags of everything that happened up to now. */
  private void catchUp(long now) {
    long from = checked;
    checked = now;
    if (!running() || now <= from) {
      return;
    }
    long before = Math.floorDiv(from + difference, SECOND);
    long after = Math.floorDiv(now + difference, SECOND);
    if (after > before) {
      flags |= UPDATE;
      if ((flags & ALARM) == 0 && nextAlarm(before) <= after) {
        flags |= ALARM;
      }
    }
    long period = periodTicks();
    if (period != 0 && oscillatorTicks(now) / period != oscillatorTicks(from) / period) {
      flags |= PERIODIC;
    }
  }

  private void due() {
    long now = board.nowNanos();
    catchUp(now);
    update(now);
  }

  /** Drives the interrupt and arms the timer for the next thing that can raise it. */
  private void update(long now) {
    int enabled = memory[REGISTER_B] & INTERRUPTS;
    interrupt.set((flags & enabled) != 0);
    int awaited = running() ? enabled & ~flags : 0;
    long next = Long.MAX_VALUE;
    long second = Math.floorDiv(now + difference, SECOND);
    if ((awaited & UPDATE) != 0) {
      next = (second + 1) * SECOND - difference;
    }
    if ((awaited & ALARM) != 0) {
      long alarm = nextAlarm(second);
      if (alarm != Long.MAX_VALUE) {
        next = Math.min(next, alarm * SECOND - difference);
      }
    }
    long period = periodTicks();
    if ((awaited & PERIODIC) != 0 && period != 0) {
      next = Math.min(next, oscillatorNanos((oscillatorTicks(now) / period + 1) * period));
    }
    if (next == Long.MAX_VALUE) {
      timer.cancel();
    } else {
      timer.arm(next);
    }
  }

  // ---- ports
  // --------------------------------------------------------------------------------------------------------

  @Override
  public int readByte(int port) {
    if (port != 0x71) {
      return 0xFF; // the index is write-only
    }
    long now = board.nowNanos();
    catchUp(now);
    switch (index) {
      case REGISTER_A -> {
        boolean soon =
            running() && Math.floorMod(time(now), SECOND) >= SECOND - UPDATE_WARNING_NANOS;
        return memory[REGISTER_A] & 0x7F | (soon ? 0x80 : 0);
      }
      case REGISTER_C -> {
        int enabled = memory[REGISTER_B] & INTERRUPTS;
        int value = flags | ((flags & enabled) != 0 ? 0x80 : 0);
        flags = 0;
        update(now);
        return value;
      }
      case REGISTER_D -> {
        return 0x80;
      }
      default -> {
        if (running() && (index <= YEAR || index == CENTURY)) {
          writeTime(time(now));
        }
        return memory[index] & 0xFF;
      }
    }
  }

  @Override
  public void writeByte(int port, int value) {
    if (port == 0x70) {
      index = value & 0x7F;
      return;
    }
    if (port != 0x71) {
      return;
    }
    long now = board.nowNanos();
    catchUp(now);
    switch (index) {
      case REGISTER_A, REGISTER_B -> writeControl(value, now);
      case REGISTER_C, REGISTER_D -> {
        // Read-only.
      }
      default -> {
        boolean calendar =
            index == CENTURY || index <= YEAR && (index & 1) == 0 || index == DAY || index == YEAR;
        if (calendar && running()) {
          writeTime(time(now));
          memory[index] = (byte) value;
          difference = readTime(time(now)) - now;
        } else {
          memory[index] = (byte) value;
        }
      }
    }
    update(now);
  }

  private void writeControl(int value, long now) {
    boolean before = running();
    long time = time(now);
    if (before) {
      writeTime(time);
    }
    if (index == REGISTER_A) {
      memory[REGISTER_A] = (byte) (value & 0x7F);
    } else {
      memory[REGISTER_B] = (byte) ((value & SET) != 0 ? value & ~UPDATE : value);
      if (before && (value & SET) == 0) {
        writeTime(time); // the format may have changed
      }
    }
    if (before && !running()) {
      frozen = time;
    } else if (!before && running()) {
      difference = readTime(frozen) - now;
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  public String name() {
    return "rtc";
  }

  /** The clock has a battery: a reset ends interrupts and nothing else. */
  @Override
  public void reset() {
    index = 0;
    flags = 0;
    memory[REGISTER_B] &= ~(INTERRUPTS | 8);
    timer.cancel();
    interrupt.set(false);
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putBytes(memory.clone()).putInt(index).putLong(difference);
    out.putLong(frozen)
        .putLong(checked)
        .putInt(flags)
        .putBoolean(timer.armed())
        .putLong(timer.deadlineNanos());
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    byte[] saved = in.getBytes();
    if (saved.length != memory.length) {
      throw new StateException("the clock's memory has " + saved.length + " bytes; 128 belong");
    }
    System.arraycopy(saved, 0, memory, 0, memory.length);
    index = in.getInt() & 0x7F;
    difference = in.getLong();
    frozen = in.getLong();
    checked = in.getLong();
    flags = in.getInt();
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    if (armed) {
      timer.arm(deadline);
    } else {
      timer.cancel();
    }
  }
}
