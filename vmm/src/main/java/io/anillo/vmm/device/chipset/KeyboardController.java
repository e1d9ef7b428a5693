package io.anillo.vmm.device.chipset;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The i8042 keyboard controller with nothing plugged in, ports 0x60 and 0x64, and the system
 * control port 0x92 (Intel 8242 data sheet; IBM PS/2 technical reference). Operating systems reset
 * the machine through it. What is sent to the absent keyboard or mouse times out.
 */
public final class KeyboardController implements Device, BytePortDevice {
  private static final int STATE_VERSION = 1;
  private static final int OUTPUT_FULL = 1,
      SYSTEM = 4,
      COMMAND = 8,
      UNLOCKED = 16,
      AUXILIARY = 32,
      TIMEOUT = 64;
  private static final int RESEND = 0xFE;
  private static final int A20 = 2;

  private final Board board;
  private final InterruptLine keyboardInterrupt;
  private final InterruptLine mouseInterrupt;
  private final byte[] memory = new byte[32];
  private int status;
  private int output;
  private int outputPort;
  private int expectedCommand;
  private int port92;

  public KeyboardController(
      Board board, InterruptLine keyboardInterrupt, InterruptLine mouseInterrupt) {
    this.board = board;
    this.keyboardInterrupt = keyboardInterrupt;
    this.mouseInterrupt = mouseInterrupt;
    board.bus().mapPorts(0x60, 1, this);
    board.bus().mapPorts(0x64, 1, this);
    board.bus().mapPorts(0x92, 1, this);
  }

  /**
   * Whether address line 20 is let through. Kept and shown only: memory above 1 MiB is always
   * reachable.
   */
  public boolean a20() {
    return (outputPort & A20) != 0;
  }

  private void answer(int value, int statusBits) {
    output = value;
    status = status & ~(AUXILIARY | TIMEOUT) | OUTPUT_FULL | statusBits;
    update();
  }

  private void update() {
    boolean full = (status & OUTPUT_FULL) != 0;
    boolean fromMouse = (status & AUXILIARY) != 0;
    keyboardInterrupt.set(full && !fromMouse && (memory[0] & 1) != 0);
    mouseInterrupt.set(full && fromMouse && (memory[0] & 2) != 0);
  }

  private void requestReset() {
    board.request(new MachineRequest.Reset("keyboard controller"));
  }

  @Override
  public int readByte(int port) {
    switch (port) {
      case 0x60 -> {
        status &= ~(OUTPUT_FULL | AUXILIARY | TIMEOUT);
        update();
        return output;
      }
      case 0x64 -> {
        return status;
      }
      case 0x92 -> {
        return port92 & ~A20 | outputPort & A20;
      }
      default -> {
        return 0xFF;
      }
    }
  }

  @Override
  public void writeByte(int port, int value) {
    switch (port) {
      case 0x60 -> data(value);
      case 0x64 -> command(value);
      case 0x92 -> {
        outputPort = outputPort & ~A20 | value & A20;
        boolean rising = (value & ~port92 & 1) != 0;
        port92 = value;
        if (rising) {
          board.request(new MachineRequest.Reset("port 0x92"));
        }
      }
      default -> {
        // Not ours.
      }
    }
  }

  private void command(int value) {
    status |= COMMAND;
    expectedCommand = 0;
    if (value >= 0x20 && value <= 0x3F) {
      answer(memory[value & 31] & 0xFF, 0);
    } else if (value >= 0x60 && value <= 0x7F || value >= 0xD1 && value <= 0xD4) {
      expectedCommand = value;
    } else if (value >= 0xF0) {
      // Pulses the output lines whose bits are clear; line 0 is the processors' reset.
      if ((value & 1) == 0) {
        requestReset();
      }
    } else {
      simpleCommand(value);
    }
  }

  private void simpleCommand(int value) {
    switch (value) {
      case 0xA7 -> memory[0] |= 0x20;
      case 0xA8 -> memory[0] &= ~0x20;
      case 0xA9, 0xAB -> answer(0, 0); // the lines of the ports are good
      case 0xAA -> {
        status |= SYSTEM;
        answer(0x55, 0);
      }
      case 0xAD -> memory[0] |= 0x10;
      case 0xAE -> memory[0] &= ~0x10;
      case 0xC0 -> answer(0x80, 0); // not locked
      case 0xD0 -> answer(outputPort | (status & OUTPUT_FULL) << 4, 0);
      case 0xDD -> outputPort &= ~A20;
      case 0xDF -> outputPort |= A20;
      default -> {
        // Unknown commands have no effect.
      }
    }
  }

  private void data(int value) {
    status &= ~COMMAND;
    int command = expectedCommand;
    expectedCommand = 0;
    switch (command) {
      case 0 -> answer(RESEND, TIMEOUT); // to the keyboard, which is not there
      case 0xD1 -> {
        outputPort = value;
        if ((value & 1) == 0) {
          requestReset();
        }
      }
      case 0xD2 -> answer(value, 0);
      case 0xD3 -> answer(value, AUXILIARY);
      case 0xD4 -> answer(RESEND, AUXILIARY | TIMEOUT);
      default -> {
        memory[command & 31] = (byte) value;
        update();
      }
    }
  }

  @Override
  public String name() {
    return "i8042";
  }

  @Override
  public void reset() {
    java.util.Arrays.fill(memory, (byte) 0);
    memory[0] = 0x34; // system flag; both ports disabled
    status = SYSTEM | UNLOCKED;
    output = 0;
    outputPort = 1 | A20;
    expectedCommand = 0;
    port92 = 0;
    update();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putBytes(memory.clone());
    out.putInts(new int[] {status, output, outputPort, expectedCommand, port92});
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    byte[] saved = in.getBytes();
    if (saved.length != memory.length) {
      throw new io.anillo.vmm.state.StateException(
          "the keyboard controller has 32 bytes of memory");
    }
    System.arraycopy(saved, 0, memory, 0, memory.length);
    int[] values = new int[5];
    in.getInts(values);
    status = values[0] & 0xFF;
    output = values[1] & 0xFF;
    outputPort = values[2] & 0xFF;
    expectedCommand = values[3] & 0xFF;
    port92 = values[4] & 0xFF;
  }
}
