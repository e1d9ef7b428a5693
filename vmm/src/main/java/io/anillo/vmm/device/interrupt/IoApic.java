package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The I/O APIC with 24 inputs (Intel 82093AA data sheet, 290566). Polarity is stored and otherwise
 * ignored: devices say what is asserted.
 */
public final class IoApic implements Device, MmioDevice {
  public static final long BASE = 0xFEC00000L;
  public static final int PINS = 24;
  private static final int STATE_VERSION = 1;
  private static final int VERSION = 0x11 | PINS - 1 << 16;
  private static final long MASKED = 1 << 16,
      LEVEL = 1 << 15,
      REMOTE_IRR = 1 << 14,
      LOGICAL = 1 << 11;
  private static final long READ_ONLY = REMOTE_IRR | 1 << 12;
  private static final long DEFINED = 0xFF00_0000_0001_FFFFL;

  private final InterruptFabric fabric;
  private Runnable edgeTaken = () -> {};
  private int countedPin = -1;
  private final long[] entries = new long[PINS];
  private int inputs;
  private int select;
  private int id;
  private long delivered;

  /** Messages sent to processors. */
  public record Metrics(long delivered) {}

  public IoApic(Bus bus, InterruptFabric fabric) {
    this.fabric = fabric;
    fabric.setEndOfInterruptListener(this::endOfInterrupt);
    fabric.setTakenListener(this::taken);
    bus.mapMmio(BASE, 0x1000, this);
    reset();
  }

  public Metrics metrics() {
    return new Metrics(delivered);
  }

  /** An input, 0 to 23. */
  public InterruptLine line(int pin) {
    java.util.Objects.checkIndex(pin, PINS);
    return asserted -> setInput(pin, asserted);
  }

  private void setInput(int pin, boolean asserted) {
    int bit = 1 << pin;
    boolean rising = asserted && (inputs & bit) == 0;
    inputs = asserted ? inputs | bit : inputs & ~bit;
    long entry = entries[pin];
    if ((entry & LEVEL) != 0) {
      serveLevel(pin);
    } else if (rising && (entry & MASKED) == 0) {
      send(entry, false);
    }
  }

  private void serveLevel(int pin) {
    long entry = entries[pin];
    boolean asserted = (inputs & 1 << pin) != 0;
    if (asserted && (entry & (LEVEL | MASKED | REMOTE_IRR)) == LEVEL) {
      entries[pin] = entry | REMOTE_IRR;
      send(entry, true);
    }
  }

  private static int destination(long entry) {
    int destination = (int) (entry >>> 56);
    boolean everybody = destination == InterruptFabric.BROADCAST_8 && (entry & LOGICAL) == 0;
    return everybody ? InterruptFabric.BROADCAST : destination;
  }

  private void send(long entry, boolean level) {
    delivered++;
    fabric.send(
        destination(entry),
        (entry & LOGICAL) != 0,
        (int) entry >> 8 & 7,
        (int) entry & 0xFF,
        level);
  }

  // ---- edges that are counted

  /** Whether an edge of the input would be sent to a processor. */
  boolean sendsEdges(int pin) {
    return (entries[pin] & (MASKED | LEVEL)) == 0;
  }

  /** Whether an edge of the input was sent to a processor that has not taken it yet. */
  boolean edgeWaits(int pin) {
    long entry = entries[pin];
    return sendsEdges(pin)
        && fabric.requested(destination(entry), (entry & LOGICAL) != 0, (int) entry & 0xFF);
  }

  /** Names whom to tell that a processor has taken an edge of the input; for one input only. */
  void onEdgeTaken(int pin, Runnable listener) {
    countedPin = pin;
    edgeTaken = listener;
  }

  private void taken(int vector) {
    if (countedPin >= 0 && (entries[countedPin] & 0xFF) == vector && sendsEdges(countedPin)) {
      edgeTaken.run();
    }
  }

  private void endOfInterrupt(int vector) {
    for (int pin = 0; pin < PINS; pin++) {
      long entry = entries[pin];
      if ((entry & (LEVEL | REMOTE_IRR)) == (LEVEL | REMOTE_IRR) && (entry & 0xFF) == vector) {
        entries[pin] = entry & ~REMOTE_IRR;
        serveLevel(pin);
      }
    }
  }

  @Override
  public long readMmio(long offset, int sizeBytes) {
    if ((offset & 0xFF) == 0) {
      return select;
    }
    if ((offset & 0xFF) != 0x10) {
      return 0;
    }
    int entry = select - 0x10 >> 1;
    if (select >= 0x10 && entry < PINS) {
      return (select & 1) == 0 ? entries[entry] & 0xFFFFFFFFL : entries[entry] >>> 32;
    }
    return switch (select) {
      case 0, 2 -> (long) id << 24;
      case 1 -> VERSION;
      default -> 0;
    };
  }

  @Override
  public void writeMmio(long offset, int sizeBytes, long value) {
    if ((offset & 0xFF) == 0) {
      select = (int) value & 0xFF;
    } else if ((offset & 0xFF) == 0x10 && sizeBytes >= 4) {
      int entry = select - 0x10 >> 1;
      if (select == 0) {
        id = (int) (value >>> 24) & 15;
      } else if (select >= 0x10 && entry < PINS) {
        writeEntry(entry, (select & 1) != 0, value & 0xFFFFFFFFL);
      }
    }
  }

  private void writeEntry(int pin, boolean high, long value) {
    long before = entries[pin];
    long after = high ? before & 0xFFFFFFFFL | value << 32 : before & ~0xFFFFFFFFL | value;
    after = after & ~READ_ONLY & DEFINED | before & READ_ONLY;
    if ((after & LEVEL) == 0) {
      after &= ~REMOTE_IRR;
    }
    entries[pin] = after;
    fabric.redirectionChanged(entries);
    serveLevel(pin);
  }

  @Override
  public String name() {
    return "ioapic";
  }

  @Override
  public void reset() {
    java.util.Arrays.fill(entries, MASKED);
    inputs = 0;
    select = 0;
    id = 0;
    fabric.redirectionChanged(entries);
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putLongs(entries).putInt(inputs).putInt(select).putInt(id);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    in.getLongs(entries);
    inputs = in.getInt();
    select = in.getInt() & 0xFF;
    id = in.getInt() & 15;
    fabric.redirectionChanged(entries);
  }
}
