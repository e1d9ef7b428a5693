package io.anillo.vmm.kvm;

import io.anillo.vmm.device.interrupt.InterruptFabric;
import io.anillo.vmm.device.interrupt.IoApic;
import io.anillo.vmm.device.interrupt.LocalApicCarrier;
import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Local APICs in the host's kernel, I/O APIC and 8259As ours ({@code KVM_CAP_SPLIT_IRQCHIP}): what
 * the board's devices send goes there as messages. Called on the board.
 */
final class KvmInterruptCarrier implements LocalApicCarrier {
  private static final long LEVEL_ENTRY = 1 << 15, LOGICAL_ENTRY = 1 << 11;
  private static final int ROUTE_BYTES = 48, ROUTES_OFFSET = 8, ROUTE_MESSAGE = 2;
  private static final int ASSERT = 1 << 14, LEVEL = 1 << 15, LOGICAL = 1 << 2;

  private final HostSystem system = new HostSystem();
  private final int machine;
  private final MemorySegment message;
  private final MemorySegment routes;
  private long messages;

  KvmInterruptCarrier(int machine, Arena arena) {
    this.machine = machine;
    message = arena.allocate(32, 8);
    routes = arena.allocate(ROUTES_OFFSET + (long) IoApic.PINS * ROUTE_BYTES, 8);
  }

  /** Messages handed to the kernel. */
  long messages() {
    return messages;
  }

  @Override
  public void send(int destination, boolean logical, int deliveryMode, int vector, boolean level) {
    messages++;
    putMessage(
        message,
        0,
        destination & 0xFF,
        logical,
        deliveryMode << 8 | vector | ASSERT | (level ? LEVEL : 0));
    // A negative result means that nobody is meant, or that the vector waits already.
    system.ioctl(machine, KvmNumbers.SIGNAL_MSI, message);
  }

  private static void putMessage(
      MemorySegment to, long at, int destination, boolean logical, int data) {
    long address =
        InterruptFabric.MESSAGE_BASE | (long) destination << 12 | (logical ? LOGICAL : 0);
    to.set(ValueLayout.JAVA_INT, at, (int) address);
    to.set(ValueLayout.JAVA_INT, at + 4, 0);
    to.set(ValueLayout.JAVA_INT, at + 8, data);
  }

  /** The routes tell KVM at the end of which vectors the I/O APIC is to be asked. */
  @Override
  public void redirectionChanged(long[] entries) {
    int count = 0;
    for (int pin = 0; pin < entries.length; pin++) {
      long entry = entries[pin];
      if ((entry & LEVEL_ENTRY) == 0) {
        continue;
      }
      long at = ROUTES_OFFSET + (long) count++ * ROUTE_BYTES;
      routes.asSlice(at, ROUTE_BYTES).fill((byte) 0);
      routes.set(ValueLayout.JAVA_INT, at, pin);
      routes.set(ValueLayout.JAVA_INT, at + 4, ROUTE_MESSAGE);
      putMessage(
          routes,
          at + 16,
          (int) (entry >>> 56),
          (entry & LOGICAL_ENTRY) != 0,
          (int) entry & 0x7FF | ASSERT | LEVEL);
    }
    routes.set(ValueLayout.JAVA_INT, 0, count);
    routes.set(ValueLayout.JAVA_INT, 4, 0);
    if (system.ioctl(machine, KvmNumbers.SET_GSI_ROUTING, routes) < 0) {
      throw new IllegalStateException("KVM refuses the I/O APIC's table, error " + system.errno());
    }
  }
}
