package io.anillo.vmm.kvm;

import io.anillo.vmm.device.interrupt.InterruptFabric;
import io.anillo.vmm.device.interrupt.IoApic;
import io.anillo.vmm.device.interrupt.LocalApicCarrier;
import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Local APICs in the host's kernel, I/O APIC and 8259As ours ({@code KVM_CAP_SPLIT_IRQCHIP}): what
 * the board's devices send goes there as messages. Called on the board.
 */
final class KvmInterruptCarrier implements LocalApicCarrier, AutoCloseable {
  private static final long LEVEL_ENTRY = 1 << 15, LOGICAL_ENTRY = 1 << 11;

  /** Of an entry: destination, its kind, trigger, delivery mode and vector. */
  private static final long ROUTED = 0xFFL << 56 | LEVEL_ENTRY | LOGICAL_ENTRY | 0x7FF;

  private static final int ROUTE_BYTES = 48, ROUTES_OFFSET = 8, ROUTE_MESSAGE = 2;
  private static final int ASSERT = 1 << 14, LEVEL = 1 << 15, LOGICAL = 1 << 2;

  private final HostSystem system;
  private final int machine;
  private final MemorySegment message;
  private final MemorySegment routes;

  /** Where messages are sent by counters; null where each is a call. */
  private final @Nullable KvmInterruptEvents events;

  /** The I/O APIC's table, as far as it sends by level. */
  private final long[] levelEntries = new long[IoApic.PINS];

  private int routeCount;
  private long messages;
  private long eventMessages;

  /**
   * Sends to a machine's local APICs.
   *
   * @param events whether messages that are sent again and again go by counters
   */
  KvmInterruptCarrier(HostSystem system, int machine, Arena arena, boolean events) {
    this.system = system;
    this.machine = machine;
    message = arena.allocate(32, 8);
    int most = IoApic.PINS + (events ? KvmInterruptEvents.MOST : 0);
    routes = arena.allocate(ROUTES_OFFSET + (long) most * ROUTE_BYTES, 8);
    this.events = events ? new KvmInterruptEvents(system, machine, IoApic.PINS, arena) : null;
  }

  /** Messages handed to the kernel. */
  long messages() {
    return messages;
  }

  /** Those of them that went by a counter. */
  long eventMessages() {
    return eventMessages;
  }

  @Override
  public void send(int destination, boolean logical, int deliveryMode, int vector, boolean level) {
    messages++;
    int address =
        (int) InterruptFabric.MESSAGE_BASE | (destination & 0xFF) << 12 | (logical ? LOGICAL : 0);
    int data = deliveryMode << 8 | vector | ASSERT | (level ? LEVEL : 0);
    if (events != null && !level && deliveryMode <= InterruptFabric.LOWEST_PRIORITY) {
      int counter = counterOf(events, address, data);
      if (counter >= 0) {
        eventMessages++;
        system.signalEvent(counter);
        return;
      }
    }
    putMessage(message, 0, address, data);
    // A negative result means that nobody is meant, or that the vector waits already.
    system.ioctl(machine, KvmNumbers.SIGNAL_MSI, message);
  }

  private int counterOf(KvmInterruptEvents counters, int address, int data) {
    int counter = counters.counterOf(address, data);
    if (counter < 0 && counters.add(address, data)) {
      putRoutes();
      counter = counters.counterOf(address, data);
    }
    return counter;
  }

  private static void putMessage(MemorySegment to, long at, int address, int data) {
    to.set(ValueLayout.JAVA_INT, at, address);
    to.set(ValueLayout.JAVA_INT, at + 4, 0);
    to.set(ValueLayout.JAVA_INT, at + 8, data);
  }

  /** The routes tell KVM at the end of which vectors the I/O APIC is to be asked. */
  @Override
  public void redirectionChanged(long[] entries) {
    boolean changed = false;
    for (int pin = 0; pin < entries.length; pin++) {
      long entry = (entries[pin] & LEVEL_ENTRY) != 0 ? entries[pin] & ROUTED : 0;
      changed |= entry != levelEntries[pin];
      levelEntries[pin] = entry;
    }
    if (changed) {
      putRoutes();
    }
  }

  private void putRoutes() {
    routeCount = 0;
    for (int pin = 0; pin < levelEntries.length; pin++) {
      long entry = levelEntries[pin];
      if (entry != 0) {
        putRoute(
            pin,
            (int) InterruptFabric.MESSAGE_BASE
                | (int) (entry >>> 56) << 12
                | ((entry & LOGICAL_ENTRY) != 0 ? LOGICAL : 0),
            (int) entry & 0x7FF | ASSERT | LEVEL);
      }
    }
    if (events != null) {
      events.forEach(this::putRoute);
    }
    routes.set(ValueLayout.JAVA_INT, 0, routeCount);
    routes.set(ValueLayout.JAVA_INT, 4, 0);
    if (system.ioctl(machine, KvmNumbers.SET_GSI_ROUTING, routes) < 0) {
      throw new IllegalStateException("KVM refuses the routes, error " + system.errno());
    }
  }

  private void putRoute(int line, int address, int data) {
    long at = ROUTES_OFFSET + (long) routeCount++ * ROUTE_BYTES;
    routes.asSlice(at, ROUTE_BYTES).fill((byte) 0);
    routes.set(ValueLayout.JAVA_INT, at, line);
    routes.set(ValueLayout.JAVA_INT, at + 4, ROUTE_MESSAGE);
    putMessage(routes, at + 16, address, data);
  }

  /** KVM may deliver what a counter stands for on a thread of its own, which ends with it. */
  @Override
  public void settle() {
    close();
  }

  @Override
  public void close() {
    if (events != null) {
      events.close();
    }
  }
}
