package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.device.interrupt.IoApic;
import io.anillo.vmm.device.interrupt.LocalApicCarrier;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.memory.GuestMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine of KVM over the range of a {@link GuestMemory}: guest-physical addresses are
 * offsets into it, so the same memory serves devices and other engines.
 */
public final class KvmVirtualMachine implements AutoCloseable {
  private static final String DEVICE = "/dev/kvm";

  /** Three pages in the hole below 4 GiB that Intel's hardware wants for real mode. */
  private static final long TASK_STATE = 0xFFFB_D000L;

  private static final int FS_BASE = 0xC000_0100, FIRST_FREE_READ = 0x10, TSC_DEADLINE = 0x6E0;
  private static final int FILTER_BYTES = 0x188, RANGE_BYTES = 24, RANGES_OFFSET = 8;
  private static final int NO_SUCH_FILE = HostSystem.ENOENT;

  /** The first with all that is needed: {@code KVM_GET_SREGS2}. */
  private static final String NEEDED_LINUX = "5.14";

  private final Supplier<HostSystem> host;
  private final HostSystem system;
  private final GuestMemory memory;
  private final int device;
  private final int machine;
  private final int runBytes;
  private final boolean scalesTsc;
  private final long tscHertz;
  private final KvmTimeStamps timeStamps = new KvmTimeStamps();
  private final boolean copiesSegments;
  private final Set<CpuFeature> missingFeatures;
  private boolean logsDirtyPages;
  private final Arena arena = Arena.ofShared();
  private @Nullable KvmInterruptCarrier carrier;

  private KvmVirtualMachine(
      Supplier<HostSystem> host,
      HostSystem system,
      GuestMemory memory,
      int device,
      int machine,
      int runBytes)
      throws KvmException {
    this.host = host;
    this.system = system;
    this.memory = memory;
    this.device = device;
    this.machine = machine;
    this.runBytes = runBytes;
    this.scalesTsc = has(KvmNumbers.CAP_TSC_CONTROL);
    this.copiesSegments =
        (system.ioctl(machine, KvmNumbers.CHECK_EXTENSION, KvmNumbers.CAP_SYNC_REGS)
                & KvmNumbers.SYNC_SREGS)
            != 0;
    int kiloHertz = system.ioctl(machine, KvmNumbers.GET_TSC_KHZ, 0);
    this.tscHertz = scalesTsc || kiloHertz <= 0 ? CpuModel.TSC_HERTZ : kiloHertz * 1000L;
    requireCapabilities();
    this.missingFeatures = KvmCpuid.missing(system, device);
    for (CpuFeature feature : missingFeatures) {
      if (feature.needed()) {
        throw new KvmException(
            "this host's processor lacks " + feature.title() + ", which x86-64-v2 has");
      }
    }
    keepRegistersToOurselves();
    // AMD's hardware has no use for it and KVM takes it all the same.
    system.ioctl(machine, KvmNumbers.SET_TSS_ADDRESS, TASK_STATE);
    mapMemory(0);
  }

  /**
   * Opens KVM and makes a virtual machine.
   *
   * @throws KvmException when there is no KVM, we may not use it, or it lacks what is needed
   */
  public static KvmVirtualMachine open(GuestMemory memory) throws KvmException {
    return open(memory, HostSystem::new);
  }

  /**
   * As {@link #open(GuestMemory)}.
   *
   * @param host makes the calls of a thread
   */
  static KvmVirtualMachine open(GuestMemory memory, Supplier<HostSystem> host) throws KvmException {
    if (!HostSystem.available()) {
      throw new KvmException("KVM exists on Linux on x86-64 only");
    }
    HostSystem system = host.get();
    int device = system.open(DEVICE);
    if (device < 0) {
      throw new KvmException(
          switch (system.errno()) {
            case NO_SUCH_FILE -> "this host has no " + DEVICE;
            case HostSystem.EACCES, HostSystem.EPERM ->
                "you may not use " + DEVICE + ": join the group that owns it";
            default -> DEVICE + " cannot be opened, error " + system.errno();
          });
    }
    int machine = -1;
    try {
      int version = system.ioctl(device, KvmNumbers.GET_API_VERSION, 0);
      if (version < 0) {
        throw new KvmException(DEVICE + " is no device of KVM's");
      }
      if (version != KvmNumbers.API_VERSION) {
        throw new KvmException(
            DEVICE + " speaks version " + version + ", not " + KvmNumbers.API_VERSION);
      }
      machine = system.ioctl(device, KvmNumbers.CREATE_VM, 0);
      int runBytes = system.ioctl(device, KvmNumbers.GET_VCPU_MMAP_SIZE, 0);
      if (machine < 0 || runBytes < 0) {
        throw new KvmException("KVM makes no virtual machine, error " + system.errno());
      }
      return new KvmVirtualMachine(host, system, memory, device, machine, runBytes);
    } catch (KvmException | RuntimeException | Error e) {
      if (machine >= 0) {
        system.close(machine);
      }
      system.close(device);
      throw e;
    }
  }

  /**
   * Has the kernel carry out what local APICs do; before the first processor is made.
   *
   * @return where the board's messages go
   * @throws KvmException when this host's KVM cannot
   */
  public LocalApicCarrier carryLocalApics() throws KvmException {
    if (!has(KvmNumbers.CAP_SPLIT_IRQCHIP) || !has(KvmNumbers.CAP_SIGNAL_MSI)) {
      throw new KvmException("this host's KVM has no local APICs without the other controllers");
    }
    try (Arena confined = Arena.ofConfined()) {
      MemorySegment capability = confined.allocate(0x68, 8);
      capability.set(ValueLayout.JAVA_INT, 0, KvmNumbers.CAP_SPLIT_IRQCHIP);
      capability.set(ValueLayout.JAVA_LONG, 8, IoApic.PINS);
      if (system.ioctl(machine, KvmNumbers.ENABLE_CAPABILITY, capability) < 0) {
        throw new KvmException("KVM refuses to have local APICs, error " + system.errno());
      }
    }
    KvmInterruptCarrier made =
        new KvmInterruptCarrier(host.get(), machine, arena, has(KvmNumbers.CAP_IRQFD));
    carrier = made;
    filterRegisters();
    return made;
  }

  /**
   * Has KVM hear doorbells.
   *
   * @param board carries out an action on the board, from any thread
   * @throws KvmException when this host's KVM cannot
   */
  public KvmDoorbells hearDoorbells(Consumer<Runnable> board) throws KvmException {
    if (!has(KvmNumbers.CAP_IOEVENTFD) || !has(KvmNumbers.CAP_IOEVENTFD_ANY_LENGTH)) {
      throw new KvmException("this host's KVM hears no doorbells");
    }
    return new KvmDoorbells(this, arena, board);
  }

  boolean carriesLocalApics() {
    return carrier != null;
  }

  private void requireCapabilities() throws KvmException {
    String lacking =
        KvmNumbers.NEEDED_CAPABILITIES.entrySet().stream()
            .filter(capability -> !has(capability.getKey()))
            .map(Map.Entry::getValue)
            .sorted()
            .collect(Collectors.joining(", "));
    if (!lacking.isEmpty()) {
      throw new KvmException(
          "this host's KVM lacks " + lacking + ", which Linux has since " + NEEDED_LINUX);
    }
  }

  private boolean has(int capability) {
    return system.ioctl(machine, KvmNumbers.CHECK_EXTENSION, capability) > 0;
  }

  /**
   * Frequency of the time stamp counter that guests read here: a nanosecond a tick where the
   * hardware can scale, otherwise the host's.
   */
  public long tscHertz() {
    return tscHertz;
  }

  /** Features that the hardware or its KVM lacks, and that guests are not shown here. */
  public Set<CpuFeature> missingFeatures() {
    return missingFeatures;
  }

  boolean scalesTsc() {
    return scalesTsc;
  }

  /** Whether KVM can copy segments to the shared page at every exit. */
  boolean copiesSegments() {
    return copiesSegments;
  }

  KvmTimeStamps timeStamps() {
    return timeStamps;
  }

  /** Calls for one more thread. */
  HostSystem newSystem() {
    return host.get();
  }

  int descriptor() {
    return machine;
  }

  int runBytes() {
    return runBytes;
  }

  GuestMemory memory() {
    return memory;
  }

  // ---- memory

  private void mapMemory(int flags) throws KvmException {
    long low = Math.min(memory.ramBytes(), GuestMemory.HOLE_START);
    mapSlot(0, flags, 0, low);
    if (memory.ramBytes() > low) {
      mapSlot(1, flags, GuestMemory.FOUR_GIB, memory.ramBytes() - low);
    }
  }

  private void mapSlot(int slot, int flags, long address, long bytes) throws KvmException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment region = arena.allocate(32, 8);
      region.set(ValueLayout.JAVA_INT, 0, slot);
      region.set(ValueLayout.JAVA_INT, 4, flags);
      region.set(ValueLayout.JAVA_LONG, 8, address);
      region.set(ValueLayout.JAVA_LONG, 16, bytes);
      region.set(ValueLayout.JAVA_LONG, 24, memory.hostAddress() + address);
      if (system.ioctl(machine, KvmNumbers.SET_USER_MEMORY_REGION, region) < 0) {
        throw new KvmException("KVM refuses the memory, error " + system.errno());
      }
    }
  }

  /**
   * Begins, or ends, to note which pages the guest writes. With the processors stopped. What
   * devices write is not noted here.
   */
  public void logDirtyPages(boolean on) throws KvmException {
    mapMemory(on ? KvmNumbers.MEMORY_LOG_DIRTY_PAGES : 0);
    logsDirtyPages = on;
  }

  /** The numbers of the pages written since logging began or was last asked; starts over. */
  public BitSet takeDirtyPages() throws KvmException {
    if (!logsDirtyPages) {
      throw new IllegalStateException("dirty pages are not logged");
    }
    BitSet pages = new BitSet();
    long low = Math.min(memory.ramBytes(), GuestMemory.HOLE_START);
    takeSlot(0, 0, low, pages);
    if (memory.ramBytes() > low) {
      takeSlot(1, GuestMemory.FOUR_GIB, memory.ramBytes() - low, pages);
    }
    return pages;
  }

  private void takeSlot(int slot, long address, long bytes, BitSet pages) throws KvmException {
    long words = (bytes / GuestMemory.PAGE_BYTES + 63) / 64;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bitmap = arena.allocate(words * 8, 8);
      MemorySegment request = arena.allocate(16, 8);
      request.set(ValueLayout.JAVA_INT, 0, slot);
      request.set(ValueLayout.JAVA_LONG, 8, bitmap.address());
      if (system.ioctl(machine, KvmNumbers.GET_DIRTY_LOG, request) < 0) {
        throw new KvmException("KVM gives no dirty pages, error " + system.errno());
      }
      int first = (int) (address >>> GuestMemory.PAGE_SHIFT);
      for (int word = 0; word < words; word++) {
        long bits = bitmap.getAtIndex(ValueLayout.JAVA_LONG, word);
        while (bits != 0) {
          pages.set(first + word * 64 + Long.numberOfTrailingZeros(bits));
          bits &= bits - 1;
        }
      }
    }
  }

  // ---- model-specific registers

  /**
   * Every register but the bases of FS and GS, and reading the time stamp counter, comes to us: so
   * guests find the same registers with the same rules as on the other engines.
   */
  private void keepRegistersToOurselves() throws KvmException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment capability = arena.allocate(0x68, 8);
      capability.set(ValueLayout.JAVA_INT, 0, KvmNumbers.CAP_X86_USER_SPACE_MSR);
      capability.set(ValueLayout.JAVA_LONG, 8, KvmNumbers.MSR_EXIT_ALL);
      if (system.ioctl(machine, KvmNumbers.ENABLE_CAPABILITY, capability) < 0) {
        throw new KvmException("KVM does not hand out model-specific registers");
      }
    }
    filterRegisters();
  }

  /** With local APICs in the kernel also what belongs to them. */
  private void filterRegisters() throws KvmException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment filter = arena.allocate(FILTER_BYTES, 8);
      filter.set(ValueLayout.JAVA_INT, 0, KvmNumbers.MSR_FILTER_DEFAULT_DENY);
      MemorySegment three = arena.allocate(8, 8);
      three.set(ValueLayout.JAVA_BYTE, 0, (byte) 7);
      MemorySegment one = arena.allocate(8, 8);
      one.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
      int both = KvmNumbers.MSR_FILTER_READ | KvmNumbers.MSR_FILTER_WRITE;
      range(filter, 0, both, FS_BASE, 3, three);
      range(filter, 1, KvmNumbers.MSR_FILTER_READ, FIRST_FREE_READ, 1, one);
      if (carrier != null) {
        range(filter, 2, both, TSC_DEADLINE, 1, one);
        range(filter, 3, both, KvmInterface.MSR_END_OF_INTERRUPT, 1, one);
      }
      if (system.ioctl(machine, KvmNumbers.SET_MSR_FILTER, filter) < 0) {
        throw new KvmException("KVM refuses the filter for model-specific registers");
      }
    }
  }

  private static void range(
      MemorySegment filter, int index, int flags, int first, int count, MemorySegment bitmap) {
    long at = RANGES_OFFSET + (long) index * RANGE_BYTES;
    filter.set(ValueLayout.JAVA_INT, at, flags);
    filter.set(ValueLayout.JAVA_INT, at + 4, count);
    filter.set(ValueLayout.JAVA_INT, at + 8, first);
    filter.set(ValueLayout.JAVA_LONG, at + 16, bitmap.address());
  }

  @Override
  public void close() {
    if (carrier != null) {
      carrier.close();
    }
    system.close(machine);
    system.close(device);
    arena.close();
  }
}
