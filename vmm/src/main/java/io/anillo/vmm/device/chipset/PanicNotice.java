package io.anillo.vmm.device.chipset;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * pvpanic: a port to which a guest writes when its kernel panics, or has loaded another kernel that
 * is to look into the crash (QEMU, docs/specs/pvpanic.rst). ACPI names it to the guest.
 */
public final class PanicNotice implements Device, BytePortDevice {
  public static final int PORT = 0x505;

  /** Events, one bit each. */
  public static final int PANICKED = 1, CRASH_LOADED = 2;

  private static final int STATE_VERSION = 1;

  private final Runnable onPanic;
  private volatile int events;

  /**
   * Maps the port.
   *
   * @param onPanic called on the board when a panic is told
   */
  public PanicNotice(Board board, Runnable onPanic) {
    this.onPanic = onPanic;
    board.bus().mapPorts(PORT, 1, this);
  }

  /** What was told since the last reset. From any thread. */
  public int events() {
    return events;
  }

  @Override
  public int readByte(int port) {
    return PANICKED | CRASH_LOADED;
  }

  @Override
  public void writeByte(int port, int value) {
    events |= value & (PANICKED | CRASH_LOADED);
    if ((value & PANICKED) != 0) {
      onPanic.run();
    }
  }

  @Override
  public String name() {
    return "pvpanic";
  }

  /** What was told is for the host to know and survives a reset. */
  @Override
  public void reset() {}

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putInt(events);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    events = in.getInt() & (PANICKED | CRASH_LOADED);
  }
}
