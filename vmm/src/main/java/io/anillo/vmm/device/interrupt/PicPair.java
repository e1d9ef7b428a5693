package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The two 8259As of a PC, the second at input 2 of the first: ports 0x20, 0x21, 0xA0, 0xA1, and the
 * edge/level control registers 0x4D0 and 0x4D1 (Intel 82371AB data sheet §4.3).
 */
public final class PicPair implements Device, BytePortDevice {
  private static final int STATE_VERSION = 1;
  private static final int CASCADE = 2;

  private final Pic8259 first = new Pic8259(true, 0xF8);
  private final Pic8259 second = new Pic8259(false, 0xDE);
  private InterruptLine output = InterruptLine.UNCONNECTED;
  private boolean outputAsserted;
  private int countedInput = -1;
  private Runnable taken = () -> {};
  private long acknowledged;
  private long spurious;

  /** Interrupts handed to processors, and how many of them had no cause. */
  public record Metrics(long acknowledged, long spurious) {}

  public PicPair(Bus bus) {
    bus.mapPorts(0x20, 2, this);
    bus.mapPorts(0xA0, 2, this);
    bus.mapPorts(0x4D0, 2, this);
  }

  /** Connects the INTR output. */
  public void connect(InterruptLine intr) {
    output = intr;
  }

  /** An input, 0 to 15. Input 2 is the cascade and leads nowhere. */
  public InterruptLine line(int input) {
    if (input < 0 || input > 15) {
      throw new IllegalArgumentException("interrupt input " + input + " does not exist: 0 to 15");
    }
    return input == CASCADE ? InterruptLine.UNCONNECTED : asserted -> setInput(input, asserted);
  }

  /** Whether an input of the first 8259A is let through. */
  boolean unmasked(int input) {
    return (first.masks() & 1 << input) == 0;
  }

  /** Whether an input of the first 8259A waits for a processor to take it. */
  boolean requested(int input) {
    return first.requested(input);
  }

  /**
   * Names whom to tell that a processor has taken an input of the first 8259A; for one input only.
   */
  void onTaken(int input, Runnable listener) {
    countedInput = input;
    taken = listener;
  }

  public Metrics metrics() {
    return new Metrics(acknowledged, spurious);
  }

  private void setInput(int input, boolean asserted) {
    if (input < 8) {
      first.setInput(input, asserted);
    } else {
      second.setInput(input - 8, asserted);
    }
    update();
  }

  private void update() {
    first.setInput(CASCADE, second.pendingInput() >= 0);
    boolean asserted = first.pendingInput() >= 0;
    if (asserted != outputAsserted) {
      outputAsserted = asserted;
      output.set(asserted);
    }
  }

  /** Whether INTR is asserted. */
  public boolean asserted() {
    return outputAsserted;
  }

  /**
   * The processor's acknowledge cycles: gives the vector, that of a spurious interrupt when nothing
   * is pending.
   */
  public int acknowledge() {
    acknowledged++;
    int input = first.pendingInput();
    int vector;
    if (input < 0) {
      spurious++;
      vector = first.vector(7);
    } else {
      first.accept(input);
      vector = first.vector(input);
      if (input == CASCADE) {
        int inner = second.pendingInput();
        if (inner < 0) {
          spurious++;
          vector = second.vector(7);
        } else {
          second.accept(inner);
          vector = second.vector(inner);
        }
        // The cascade input sees a new edge for whatever waits behind the one just taken.
        first.setInput(CASCADE, false);
      }
    }
    update();
    if (input >= 0 && input == countedInput) {
      taken.run();
    }
    return vector;
  }

  @Override
  public int readByte(int port) {
    int value =
        switch (port) {
          case 0x20 -> first.readCommand();
          case 0x21 -> first.readData();
          case 0xA0 -> second.readCommand();
          case 0xA1 -> second.readData();
          case 0x4D0 -> first.edgeLevelControl();
          case 0x4D1 -> second.edgeLevelControl();
          default -> 0xFF;
        };
    update();
    return value;
  }

  @Override
  public void writeByte(int port, int value) {
    switch (port) {
      case 0x20 -> first.writeCommand(value);
      case 0x21 -> first.writeData(value);
      case 0xA0 -> second.writeCommand(value);
      case 0xA1 -> second.writeData(value);
      case 0x4D0 -> first.setEdgeLevelControl(value);
      case 0x4D1 -> second.setEdgeLevelControl(value);
      default -> {
        return;
      }
    }
    update();
  }

  @Override
  public String name() {
    return "pic";
  }

  @Override
  public void reset() {
    first.reset();
    second.reset();
    update();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putBoolean(outputAsserted);
    first.save(out);
    second.save(out);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    outputAsserted = in.getBoolean();
    first.restore(in);
    second.restore(in);
    output.set(outputAsserted);
  }
}
