package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * Ends of interrupt without an access (KVM's MSR_KVM_PV_EOI_EN): a bit in guest memory that the
 * controller sets when an interrupt's end will change nothing else, and that the guest clears
 * instead of writing to the register. Guests clear it by an instruction without LOCK, so it is
 * looked at and changed by the processor's own thread only, or while the processor is stopped.
 */
final class SharedEnd {
  private final GuestMemory memory;

  /** As the guest wrote it: an address of four bytes, and bit 0 to use it. */
  private long register;

  /** The bit was set, and nobody has looked since. */
  private boolean offered;

  SharedEnd(GuestMemory memory) {
    this.memory = memory;
  }

  void reset() {
    register = 0;
    offered = false;
  }

  long register() {
    return register;
  }

  /** Whether a value can be written to the register: its address is RAM. */
  boolean accepts(long value) {
    return (value & 2) == 0 && ((value & 1) == 0 || memory.isRam(value & -4, 4));
  }

  void setRegister(long value) {
    register = value;
  }

  boolean inUse() {
    return (register & 1) != 0;
  }

  boolean offered() {
    return offered;
  }

  void offer() {
    offered = true;
    putBit(1);
  }

  /** Whether the guest has taken an offer; there is none any more then. */
  boolean taken() {
    if (offered && (memory.getByte(register & -4) & 1) == 0) {
      offered = false;
      return true;
    }
    return false;
  }

  /** From here on the guest has to write to the register. */
  void withdraw() {
    if (offered) {
      offered = false;
      putBit(0);
    }
  }

  private void putBit(int bit) {
    long address = register & -4;
    memory.putByte(address, (byte) (memory.getByte(address) & ~1 | bit));
    memory.announceWrite(address, 1);
  }

  void save(StateWriter out) {
    out.putLong(register).putBoolean(offered);
  }

  void restore(StateReader in) {
    register = in.getLong();
    offered = in.getBoolean();
  }
}
