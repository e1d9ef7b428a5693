package io.anillo.vmm.device.timer;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * One counter of the 8254 (Intel 8254 data sheet, 231164). Counting is not done: everything is
 * computed from the ticks that went by since the count was loaded or the gate triggered.
 */
final class PitChannel {
  private int count = 0x10000;
  private int mode;
  private boolean binaryCodedDecimal;
  private int access = 3;
  private boolean counting;
  private boolean gate = true;

  /**
   * The tick at which counting began; while the gate holds the counter, the ticks counted so far.
   */
  private long start;

  private boolean held;

  private int writeLow = -1;
  private boolean readHigh;
  private int countLatch = -1;
  private int countLatchBytes;
  private int statusLatch = -1;

  void control(int value, long now) {
    access = value >> 4 & 3;
    int newMode = value >> 1 & 7;
    mode = newMode > 5 ? newMode & 3 : newMode;
    binaryCodedDecimal = (value & 1) != 0;
    counting = false;
    held = false;
    start = now;
    writeLow = -1;
    readHigh = false;
    countLatch = -1;
    statusLatch = -1;
  }

  void latchCount(long now) {
    if (countLatch < 0) {
      countLatch = counter(now);
      countLatchBytes = access == 3 ? 2 : 1;
    }
  }

  void latchStatus(long now) {
    if (statusLatch < 0) {
      int nullCount = counting || mode == 1 || mode == 5 ? 0 : 0x40;
      statusLatch =
          (output(now) ? 0x80 : 0)
              | nullCount
              | access << 4
              | mode << 1
              | (binaryCodedDecimal ? 1 : 0);
    }
  }

  int read(long now) {
    if (statusLatch >= 0) {
      int status = statusLatch;
      statusLatch = -1;
      return status;
    }
    int value = countLatch >= 0 ? countLatch : counter(now);
    boolean high = access == 2 || access == 3 && readHigh;
    if (access == 3) {
      readHigh = !readHigh;
    }
    if (countLatch >= 0 && --countLatchBytes == 0) {
      countLatch = -1;
    }
    return high ? value >> 8 & 0xFF : value & 0xFF;
  }

  void write(int value, long now) {
    if (access == 3) {
      if (writeLow < 0) {
        writeLow = value;
        return;
      }
      load(value << 8 | writeLow, now);
      writeLow = -1;
    } else {
      load(access == 2 ? value << 8 : value, now);
    }
  }

  private void load(int raw, long now) {
    int value = raw;
    if (binaryCodedDecimal) {
      value = (raw >> 12 & 15) * 1000 + (raw >> 8 & 15) * 100 + (raw >> 4 & 15) * 10 + (raw & 15);
    }
    count = value != 0 ? value : binaryCodedDecimal ? 10000 : 0x10000;
    if (mode == 1 || mode == 5) {
      return; // the gate starts these
    }
    // In modes 2 and 3 real hardware ends the running period with the old count; restarting at once
    // differs by one
    // period at most.
    counting = true;
    held = !gate;
    start = held ? 0 : now;
  }

  boolean gate() {
    return gate;
  }

  void setGate(boolean level, long now) {
    if (level == gate) {
      return;
    }
    gate = level;
    switch (mode) {
      case 0, 4 -> {
        if (counting) {
          start = now - start; // ticks counted become a start, and the other way round
          held = !level;
        }
      }
      case 1, 5 -> {
        if (level) {
          counting = true;
          held = false;
          start = now;
        }
      }
      default -> {
        if (counting) {
          held = !level;
          start = level ? now : 0;
        }
      }
    }
  }

  private long elapsed(long now) {
    return held ? start : Math.max(0, now - start);
  }

  boolean output(long now) {
    if (!counting) {
      return mode != 0;
    }
    long elapsed = elapsed(now);
    return switch (mode) {
      case 0, 1 -> elapsed >= count;
      case 2 -> held || count == 1 || elapsed % count != count - 1;
      case 3 -> held || elapsed % count < (count + 1) / 2;
      default -> elapsed != count;
    };
  }

  /** The tick of the next rising edge of the output after {@code now}, or Long.MAX_VALUE. */
  long nextRise(long now) {
    if (!counting || held) {
      return Long.MAX_VALUE;
    }
    long elapsed = elapsed(now);
    return switch (mode) {
      case 0, 1 -> elapsed < count ? start + count : Long.MAX_VALUE;
      case 2, 3 -> start + (elapsed / count + 1) * count;
      default -> elapsed <= count ? start + count + 1 : Long.MAX_VALUE;
    };
  }

  /** Ticks between two rising edges of the output, or 0 when it does not repeat by itself. */
  int period() {
    return counting && !held && (mode == 2 || mode == 3) ? count : 0;
  }

  private int counter(long now) {
    long elapsed = counting ? elapsed(now) : 0;
    int modulus = binaryCodedDecimal ? 10000 : 0x10000;
    int value =
        switch (mode) {
          case 2 -> count - (int) (elapsed % count);
          case 3 -> count - (int) (2 * elapsed % count) & ~1;
          default -> (int) Math.floorMod(count - elapsed, (long) modulus);
        };
    value = Math.floorMod(value, modulus);
    if (binaryCodedDecimal) {
      return value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
    }
    return value;
  }

  void reset(boolean gateLevel) {
    count = 0x10000;
    mode = 0;
    binaryCodedDecimal = false;
    access = 3;
    counting = false;
    gate = gateLevel;
    start = 0;
    held = false;
    writeLow = -1;
    readHigh = false;
    countLatch = -1;
    countLatchBytes = 0;
    statusLatch = -1;
  }

  void save(StateWriter out) {
    out.putLong(count)
        .putInt(mode)
        .putBoolean(binaryCodedDecimal)
        .putInt(access)
        .putBoolean(counting);
    out.putBoolean(gate).putLong(start).putBoolean(held).putInt(writeLow).putBoolean(readHigh);
    out.putInt(countLatch).putInt(countLatchBytes).putInt(statusLatch);
  }

  void restore(StateReader in) {
    count = Math.clamp(in.getLong(), 1, 0x10000);
    mode = Math.clamp(in.getLong(), 0, 5);
    binaryCodedDecimal = in.getBoolean();
    access = in.getInt() & 3;
    counting = in.getBoolean();
    gate = in.getBoolean();
    start = in.getLong();
    held = in.getBoolean();
    writeLow = in.getInt();
    readHigh = in.getBoolean();
    countLatch = in.getInt();
    countLatchBytes = in.getInt();
    statusLatch = in.getInt();
  }
}
