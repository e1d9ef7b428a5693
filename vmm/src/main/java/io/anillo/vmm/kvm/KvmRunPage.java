package io.anillo.vmm.kvm;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The page that KVM shares with us for one processor ({@code struct kvm_run}): what we ask for
 * before guest code runs, and why it stopped.
 */
final class KvmRunPage {
  private final MemorySegment page;

  private KvmRunPage(MemorySegment page) {
    this.page = page;
  }

  /** Maps a processor's page. */
  static KvmRunPage map(HostSystem system, int descriptor, int sizeBytes) throws KvmException {
    MemorySegment page = system.map(descriptor, sizeBytes);
    if (page.address() == 0) {
      throw new KvmException("KVM shares no memory with us, error " + system.errno());
    }
    return new KvmRunPage(page);
  }

  void unmap(HostSystem system) {
    system.unmap(page);
  }

  // ---- what we ask for

  /** Has the guest's privilege told at every exit. */
  void copySegments() {
    page.set(ValueLayout.JAVA_LONG, KvmNumbers.RUN_VALID_REGS, KvmNumbers.SYNC_SREGS);
  }

  /** Has KVM stop when it could take an interrupt. */
  void requestWindow(boolean wanted) {
    page.set(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_REQUEST_WINDOW, (byte) (wanted ? 1 : 0));
  }

  /** Has KVM complete the instruction that waits for us, and run no other. */
  void setImmediateExit(boolean immediate) {
    page.set(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_IMMEDIATE_EXIT, (byte) (immediate ? 1 : 0));
  }

  /** CR8. */
  void setTaskPriority(int priorityClass) {
    page.set(ValueLayout.JAVA_LONG, KvmNumbers.RUN_CR8, priorityClass);
  }

  // ---- how the guest stopped

  int reason() {
    return page.get(ValueLayout.JAVA_INT, KvmNumbers.RUN_EXIT_REASON);
  }

  /** What belongs to the reason, for a message. */
  long detail() {
    return page.get(ValueLayout.JAVA_LONG, KvmNumbers.RUN_UNION);
  }

  boolean interruptFlag() {
    return page.get(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_IF_FLAG) != 0;
  }

  /** Whether an interrupt can be given to KVM. */
  boolean ready() {
    return page.get(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_READY) != 0;
  }

  /** No interrupt can be given until KVM says so again. */
  void setNotReady() {
    page.set(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_READY, (byte) 0);
  }

  int taskPriority() {
    return (int) page.get(ValueLayout.JAVA_LONG, KvmNumbers.RUN_CR8);
  }

  /** The current privilege level, where segments are copied. */
  int privilege() {
    return page.get(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_SYNC_SREGS + KvmStateTransfer.PRIVILEGE)
        & 3;
  }

  /** The vector whose end the I/O APIC is told of. */
  int endedVector() {
    return page.get(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_UNION) & 0xFF;
  }

  // ---- accesses to devices

  /** Carries out the port access, or the string of them, that the guest waits for. */
  void accessPort(Bus bus) {
    long at = KvmNumbers.RUN_UNION;
    boolean out = page.get(ValueLayout.JAVA_BYTE, at) != 0;
    int size = page.get(ValueLayout.JAVA_BYTE, at + 1);
    int port = page.get(ValueLayout.JAVA_SHORT, at + 2) & 0xFFFF;
    int count = page.get(ValueLayout.JAVA_INT, at + 4);
    long data = page.get(ValueLayout.JAVA_LONG, at + 8);
    for (int i = 0; i < count; i++, data += size) {
      if (out) {
        bus.writePort(port, size, (int) load(data, size));
      } else {
        store(data, size, bus.readPort(port, size));
      }
    }
  }

  /** Carries out the memory-mapped access that the guest waits for. */
  void accessMemory(Bus bus) {
    long at = KvmNumbers.RUN_UNION;
    long address = page.get(ValueLayout.JAVA_LONG, at);
    int size = page.get(ValueLayout.JAVA_INT, at + 16);
    if (page.get(ValueLayout.JAVA_BYTE, at + 20) != 0) {
      bus.writeMmio(address, size, load(at + 8, size));
    } else {
      store(at + 8, size, bus.readMmio(address, size));
    }
  }

  private long load(long at, int size) {
    long value = 0;
    for (int i = 0; i < size; i++) {
      value |= (page.get(ValueLayout.JAVA_BYTE, at + i) & 0xFFL) << 8 * i;
    }
    return value;
  }

  private void store(long at, int size, long value) {
    for (int i = 0; i < size; i++) {
      page.set(ValueLayout.JAVA_BYTE, at + i, (byte) (value >>> 8 * i));
    }
  }

  // ---- model-specific registers

  /** The register that RDMSR or WRMSR is about. */
  int modelRegister() {
    return page.get(ValueLayout.JAVA_INT, KvmNumbers.RUN_UNION + 12);
  }

  /** What WRMSR writes. */
  long modelRegisterValue() {
    return page.get(ValueLayout.JAVA_LONG, KvmNumbers.RUN_UNION + 16);
  }

  /** What RDMSR reads. */
  void setModelRegisterValue(long value) {
    page.set(ValueLayout.JAVA_LONG, KvmNumbers.RUN_UNION + 16, value);
  }

  /** Whether RDMSR or WRMSR is to raise #GP. */
  void setModelRegisterFault(boolean fault) {
    page.set(ValueLayout.JAVA_BYTE, KvmNumbers.RUN_UNION, (byte) (fault ? 1 : 0));
  }
}
