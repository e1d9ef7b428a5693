package io.anillo.vmm.kvm;

import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Messages to local APICs that KVM sends when a counter is added to ({@code KVM_IRQFD}). A message
 * gets a counter and a line of its own the first time that it is sent: a guest's devices send the
 * same few again and again. Called on the board.
 *
 * <p>Hot class: {@link #counterOf} is on the way of every interrupt; watched by {@code
 * InterruptMessageCost} (docs/testing.md).
 */
final class KvmInterruptEvents implements AutoCloseable {
  /** Most messages that have a counter. A power of two. */
  static final int MOST = 256;

  private static final int SLOTS = 2 * MOST;
  private static final int REQUEST_BYTES = 32, REMOVE = 1;
  private static final long NOTHING = -1;

  private final HostSystem system;
  private final int machine;
  private final int firstLine;
  private final MemorySegment request;

  /** Address in the upper half, data in the lower; looked up from its hash on. */
  private final long[] messages = new long[SLOTS];

  private final int[] counters = new int[SLOTS];
  private final int[] lines = new int[SLOTS];
  private int count;

  KvmInterruptEvents(HostSystem system, int machine, int firstLine, Arena arena) {
    this.system = system;
    this.machine = machine;
    this.firstLine = firstLine;
    this.request = arena.allocate(REQUEST_BYTES, 8);
    Arrays.fill(messages, NOTHING);
  }

  /** Messages that have a counter. */
  int count() {
    return count;
  }

  /** The counter of a message, or -1 where it has none. */
  int counterOf(int address, int data) {
    long message = join(address, data);
    int slot = slotOf(message);
    return messages[slot] == message ? counters[slot] : -1;
  }

  private static long join(int address, int data) {
    return (long) address << 32 | data & 0xFFFF_FFFFL;
  }

  private int slotOf(long message) {
    int slot = (int) (message * 0x9E37_79B9_7F4A_7C15L >>> 32) & SLOTS - 1;
    while (messages[slot] != NOTHING && messages[slot] != message) {
      slot = slot + 1 & SLOTS - 1;
    }
    return slot;
  }

  /**
   * Gives a message a counter and a line, which the routes are to lead to it before the counter is
   * used. Where there is no room, all others lose theirs: a guest that has moved its interrupts
   * about for long sends new messages and not the old ones.
   *
   * @return whether the host had a counter, and KVM took it
   */
  boolean add(int address, int data) {
    if (count == MOST) {
      close();
    }
    int counter = system.eventDescriptor();
    if (counter < 0) {
      return false;
    }
    int line = firstLine + count;
    if (change(counter, line, 0) < 0) {
      system.close(counter);
      return false;
    }
    long message = join(address, data);
    int slot = slotOf(message);
    messages[slot] = message;
    counters[slot] = counter;
    lines[slot] = line;
    count++;
    return true;
  }

  private int change(int counter, int line, int flags) {
    request.fill((byte) 0);
    request.set(ValueLayout.JAVA_INT, 0, counter);
    request.set(ValueLayout.JAVA_INT, 4, line);
    request.set(ValueLayout.JAVA_INT, 8, flags);
    return system.ioctl(machine, KvmNumbers.IRQFD, request);
  }

  /** Takes a line and its message. */
  interface Visitor {
    void route(int line, int address, int data);
  }

  /** Tells the line of every message. */
  void forEach(Visitor visitor) {
    for (int slot = 0; slot < SLOTS; slot++) {
      if (messages[slot] != NOTHING) {
        visitor.route(lines[slot], (int) (messages[slot] >>> 32), (int) messages[slot]);
      }
    }
  }

  /** Takes every counter away: KVM has delivered what was on its way when this returns. */
  @Override
  public void close() {
    for (int slot = 0; slot < SLOTS; slot++) {
      if (messages[slot] != NOTHING) {
        change(counters[slot], lines[slot], REMOVE);
        system.close(counters[slot]);
        messages[slot] = NOTHING;
      }
    }
    count = 0;
  }
}
