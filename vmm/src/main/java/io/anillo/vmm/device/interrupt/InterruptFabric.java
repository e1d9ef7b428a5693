package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.device.MessageInterrupts;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The wires between local APICs, I/O APIC and devices: finds the processors that a message is for
 * and hands it over (Intel SDM vol. 3A §11.6.2, §11.11).
 */
public final class InterruptFabric implements MessageInterrupts {
  /** Delivery modes (Intel SDM vol. 3A §11.6.1). */
  public static final int FIXED = 0,
      LOWEST_PRIORITY = 1,
      SMI = 2,
      NMI = 4,
      INIT = 5,
      STARTUP = 6,
      EXTINT = 7;

  /** Physical destination of everybody, for senders with 32-bit and with 8-bit destinations. */
  public static final int BROADCAST = 0xFFFFFFFF, BROADCAST_8 = 0xFF;

  public static final long MESSAGE_BASE = 0xFEE00000L;

  private final List<LocalApic> processors = new ArrayList<>();
  private EndOfInterruptListener endOfInterrupt = vector -> {};
  private IntConsumer taken = vector -> {};
  private @Nullable LocalApicCarrier carrier;
  private long messages;

  /** Told of the end of level-triggered interrupts. */
  @FunctionalInterface
  interface EndOfInterruptListener {
    void ended(int vector);
  }

  void add(LocalApic processor) {
    processors.add(processor);
  }

  /** Has others do what local APICs do; before the first reset. */
  public void setCarrier(LocalApicCarrier newCarrier) {
    carrier = newCarrier;
  }

  /** Whether others do what local APICs do. */
  boolean carried() {
    return carrier != null;
  }

  /** Waits until all that was sent has arrived, where others do what local APICs do. */
  public void settle() {
    if (carrier != null) {
      carrier.settle();
    }
  }

  void redirectionChanged(long[] entries) {
    if (carrier != null) {
      carrier.redirectionChanged(entries);
    }
  }

  void setEndOfInterruptListener(EndOfInterruptListener listener) {
    endOfInterrupt = listener;
  }

  /** A level-triggered interrupt has ended at a processor. */
  public void ended(int vector) {
    endOfInterrupt.ended(vector);
  }

  /** Names whom to tell of vectors that a processor has taken. */
  void setTakenListener(IntConsumer listener) {
    taken = listener;
  }

  void taken(int vector) {
    taken.accept(vector);
  }

  /**
   * Whether a processor of this destination has the vector requested and not yet in service; not
   * known where others carry local APICs.
   */
  boolean requested(int destination, boolean logical, int vector) {
    if (carrier != null) {
      // What the board's own hold is from when the machine was last saved or restored.
      return false;
    }
    for (int i = 0; i < processors.size(); i++) {
      LocalApic candidate = processors.get(i);
      if (candidate.matches(destination, logical) && candidate.requested(vector)) {
        return true;
      }
    }
    return false;
  }

  /** Messages sent by devices. */
  public long messages() {
    return messages;
  }

  /** A memory write to the range of message-signalled interrupts. Writes elsewhere are lost. */
  @Override
  public void signal(long address, int data) {
    if ((address & ~0xFFFFFL) != MESSAGE_BASE) {
      return;
    }
    messages++;
    int destination = (int) (address >> 12) & 0xFF;
    boolean logical = (address & 4) != 0;
    send(
        destination == BROADCAST_8 && !logical ? BROADCAST : destination,
        logical,
        data >> 8 & 7,
        data & 0xFF,
        (data & 0x8000) != 0);
  }

  /** Whether a processor has this id. */
  public boolean has(int apicId) {
    return apicId >= 0 && apicId < processors.size();
  }

  /**
   * Delivers to the destination's processors.
   *
   * @param level whether the interrupt is level-triggered: its end is then broadcast to the I/O
   *     APIC
   */
  public void send(int destination, boolean logical, int deliveryMode, int vector, boolean level) {
    if (carrier != null) {
      carrier.send(destination, logical, deliveryMode, vector, level);
      return;
    }
    if (deliveryMode == LOWEST_PRIORITY) {
      LocalApic chosen = null;
      for (int i = 0; i < processors.size(); i++) {
        LocalApic candidate = processors.get(i);
        if (candidate.matches(destination, logical)
            && candidate.accepting()
            && (chosen == null || candidate.processorPriority() < chosen.processorPriority())) {
          chosen = candidate;
        }
      }
      if (chosen != null) {
        chosen.deliver(FIXED, vector, level);
      }
      return;
    }
    for (int i = 0; i < processors.size(); i++) {
      LocalApic candidate = processors.get(i);
      if (candidate.matches(destination, logical)) {
        candidate.deliver(deliveryMode, vector, level);
      }
    }
  }

  /** Delivers to all, with or without the sender. */
  void sendToAll(LocalApic sender, boolean withSender, int deliveryMode, int vector) {
    for (int i = 0; i < processors.size(); i++) {
      LocalApic candidate = processors.get(i);
      if (withSender || candidate != sender) {
        candidate.deliver(deliveryMode == LOWEST_PRIORITY ? FIXED : deliveryMode, vector, false);
      }
    }
  }
}
