package io.anillo.vmm.device.acpi;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * ACPI's fixed hardware (ACPI 6.5 §4.8): PM1a event and control registers, the power management
 * timer with 32 bits at 3.579545 MHz, the power button, and the reset register at port 0xCF9. The
 * machine is always in ACPI mode.
 */
public final class AcpiPowerManagement implements Device, BytePortDevice {
  public static final int EVENT_PORT = 0x600,
      CONTROL_PORT = 0x604,
      TIMER_PORT = 0x608,
      RESET_PORT = 0xCF9;
  public static final int INTERRUPT = 9;

  /** What is written to {@link #RESET_PORT} to reset the machine. */
  public static final int RESET_VALUE = 6;

  /** The sleep type of S5, soft off. */
  public static final int SLEEP_TYPE_OFF = 5;

  public static final long TIMER_FREQUENCY = 3_579_545;

  private static final int STATE_VERSION = 1;
  private static final int TIMER_STATUS = 1, POWER_BUTTON = 1 << 8;
  private static final int STATUS_BITS = 0x8731, ENABLE_BITS = 0x0721;
  private static final int SCI_ENABLE = 1, SLEEP_ENABLE = 1 << 13;
  private static final long SECOND = 1_000_000_000L;

  private final Board board;
  private final InterruptLine interrupt;
  private final BoardTimer carryTimer;
  private final EventChannel button;
  private int status;
  private int enable;
  private int control;
  private int resetControl;
  private long checkedTicks;

  public AcpiPowerManagement(Board board, InterruptLine interrupt) {
    this.board = board;
    this.interrupt = interrupt;
    this.carryTimer = board.timer("acpi-timer", this::timerCarried);
    this.button = board.channel("acpi-power-button", payload -> powerButtonPressed());
    board.bus().mapPorts(EVENT_PORT, 12, this);
    board.bus().mapPorts(RESET_PORT, 1, this);
  }

  /** Presses the power button, from any thread: asks the operating system to shut down. */
  public void pressPowerButton() {
    button.post(new byte[0]);
  }

  private void powerButtonPressed() {
    status |= POWER_BUTTON;
    update();
  }

  static long ticks(long nanos) {
    return nanos / SECOND * TIMER_FREQUENCY + nanos % SECOND * TIMER_FREQUENCY / SECOND;
  }

  private static long nanos(long ticks) {
    return ticks / TIMER_FREQUENCY * SECOND
        + (ticks % TIMER_FREQUENCY * SECOND + TIMER_FREQUENCY - 1) / TIMER_FREQUENCY;
  }

  /** Notes whether bit 31 of the timer toggled since the last look. */
  private long catchUp() {
    long ticks = ticks(board.nowNanos());
    if (ticks >>> 31 != checkedTicks >>> 31) {
      status |= TIMER_STATUS;
    }
    checkedTicks = ticks;
    return ticks;
  }

  private void timerCarried() {
    catchUp();
    update();
  }

  private void update() {
    interrupt.set((status & enable & (TIMER_STATUS | POWER_BUTTON)) != 0);
    if ((enable & TIMER_STATUS) != 0 && (status & TIMER_STATUS) == 0) {
      carryTimer.arm(nanos((checkedTicks >>> 31) + 1 << 31));
    } else {
      carryTimer.cancel();
    }
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    if (port == TIMER_PORT) {
      return (int) catchUp(); // all four bytes of one moment
    }
    return BytePortDevice.super.readPort(port, sizeBytes);
  }

  @Override
  public int readByte(int port) {
    switch (port) {
      case EVENT_PORT, EVENT_PORT + 1 -> {
        catchUp();
        return status >> 8 * (port - EVENT_PORT) & 0xFF;
      }
      case EVENT_PORT + 2, EVENT_PORT + 3 -> {
        return enable >> 8 * (port - EVENT_PORT - 2) & 0xFF;
      }
      case CONTROL_PORT, CONTROL_PORT + 1 -> {
        return (control | SCI_ENABLE) >> 8 * (port - CONTROL_PORT) & 0xFF;
      }
      case TIMER_PORT, TIMER_PORT + 1, TIMER_PORT + 2, TIMER_PORT + 3 -> {
        return (int) (catchUp() >> 8 * (port - TIMER_PORT)) & 0xFF;
      }
      case RESET_PORT -> {
        return resetControl;
      }
      default -> {
        return port < TIMER_PORT ? 0 : 0xFF;
      }
    }
  }

  @Override
  public void writeByte(int port, int value) {
    switch (port) {
      case EVENT_PORT, EVENT_PORT + 1 -> {
        catchUp();
        status &= ~(value << 8 * (port - EVENT_PORT) & STATUS_BITS);
        update();
      }
      case EVENT_PORT + 2, EVENT_PORT + 3 -> {
        catchUp();
        int shift = 8 * (port - EVENT_PORT - 2);
        enable = (enable & ~(0xFF << shift) | value << shift) & ENABLE_BITS;
        update();
      }
      case CONTROL_PORT -> control = control & 0xFF00 | value & 0x06;
      case CONTROL_PORT + 1 -> {
        control = control & 0xFF | value << 8 & 0x1C00;
        if ((value << 8 & SLEEP_ENABLE) != 0 && (control >> 10 & 7) == SLEEP_TYPE_OFF) {
          board.request(new MachineRequest.PowerOff());
        }
      }
      case RESET_PORT -> {
        boolean rising = (value & ~resetControl & 4) != 0;
        resetControl = value & 0xE;
        if (rising) {
          board.request(new MachineRequest.Reset("port 0xCF9"));
        }
      }
      default -> {
        // The timer is read-only; the rest of the block is reserved.
      }
    }
  }

  @Override
  public String name() {
    return "acpi-pm";
  }

  @Override
  public void reset() {
    status = 0;
    enable = 0;
    control = 0;
    resetControl = 0;
    update();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION)
        .putInt(status)
        .putInt(enable)
        .putInt(control)
        .putInt(resetControl);
    out.putLong(checkedTicks);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    status = in.getInt() & STATUS_BITS;
    enable = in.getInt() & ENABLE_BITS;
    control = in.getInt() & 0x1C06;
    resetControl = in.getInt() & 0xE;
    checkedTicks = in.getLong();
    update();
  }
}
