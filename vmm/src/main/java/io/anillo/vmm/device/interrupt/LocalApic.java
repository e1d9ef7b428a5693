package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.cpu.CpuSignals;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongSupplier;

/**
 * The local APIC of one processor, in xAPIC mode behind its page and in x2APIC mode behind MSRs
 * (Intel SDM vol. 3A chapter 11). All calls but {@link #pending} are made on the board.
 */
public final class LocalApic implements Device, LocalInterrupts, MmioDevice {
  public static final int MSR_APIC_BASE = 0x1B, MSR_TSC_DEADLINE = 0x6E0, MSR_X2APIC = 0x800;
  public static final long DEFAULT_BASE = 0xFEE00000L;
  public static final int PAGE_BYTES = 4096;

  /**
   * Where a paravirtual guest has a bit that it clears instead of writing to the end-of-interrupt
   * register (KVM's MSR_KVM_PV_EOI_EN): an address of four bytes, bit 0 set to use it.
   */
  public static final int MSR_SHARED_END = 0x4B564D04;

  private static final int STATE_VERSION = 2;
  private static final long BASE_BOOT_PROCESSOR = 1 << 8,
      BASE_X2APIC = 1 << 10,
      BASE_ENABLE = 1 << 11;

  /** Version 0x14 with six entries in the local vector table. */
  private static final int VERSION = 0x00050014;

  private static final int LVT_MASKED = 1 << 16;
  private static final int ERROR_SEND_VECTOR = 1 << 5,
      ERROR_RECEIVE_VECTOR = 1 << 6,
      ERROR_REGISTER = 1 << 7;

  /** Indexes of the local vector table, from register 0x32. */
  private static final int LVT_TIMER = 0, LVT_LINT0 = 3, LVT_LINT1 = 4, LVT_ERROR = 5;

  private final int id;
  private final InterruptFabric fabric;
  private final CpuSignals processor;
  private final PicPair pic;
  private final long physicalMask;
  private final ApicTimer timer;

  private final VectorSet inService = new VectorSet();
  private final VectorSet requests = new VectorSet();
  private final VectorSet triggerMode = new VectorSet();
  private final int[] localVectors = new int[6];
  private long base;
  private int taskPriority;
  private int logicalDestination;
  private int destinationFormat;
  private int spurious;
  private int errors;
  private int errorsShown;
  private int commandLow;
  private int commandHigh;
  private boolean lint0;
  private boolean externalByMessage;
  private volatile boolean pending;
  private final SharedEnd sharedEnd;

  /** An interrupt that was acknowledged but not delivered, or -1. */
  private int retracted = -1;

  private long accesses;
  private long endsByMemory;
  private long delivered;
  private long endsOfInterrupt;

  /**
   * What happened so far.
   *
   * @param delivered vectors handed to the processor
   * @param endsOfInterrupt ends of interrupt, those by memory included
   * @param endsByMemory ends of interrupt that a paravirtual guest told without an access
   * @param accesses reads and writes of registers, as memory or as MSRs
   */
  public record Metrics(long delivered, long endsOfInterrupt, long endsByMemory, long accesses) {}

  /**
   * Makes the controller and adds it to the fabric.
   *
   * @param id the APIC id, 0 for the boot processor
   * @param physicalBits width of guest-physical addresses, for the check of IA32_APIC_BASE
   * @param tscOffset what the processor adds to the board's clock for its time stamp counter
   */
  public LocalApic(
      Board board,
      int id,
      InterruptFabric fabric,
      CpuSignals processor,
      PicPair pic,
      int physicalBits,
      LongSupplier tscOffset) {
    this.id = id;
    this.fabric = fabric;
    this.processor = processor;
    this.pic = pic;
    this.sharedEnd = new SharedEnd(board.memory());
    this.physicalMask = (1L << physicalBits) - 1;
    this.timer =
        new ApicTimer(
            board, "lapic" + id, tscOffset, () -> deliverLocal(LVT_TIMER), fabric::carried);
    fabric.add(this);
    reset();
  }

  public Metrics metrics() {
    return new Metrics(delivered, endsOfInterrupt, endsByMemory, accesses);
  }

  // ---- modes

  private boolean globallyEnabled() {
    return (base & BASE_ENABLE) != 0;
  }

  private boolean x2apic() {
    return (base & (BASE_ENABLE | BASE_X2APIC)) == (BASE_ENABLE | BASE_X2APIC);
  }

  private boolean softwareEnabled() {
    return (spurious & 0x100) != 0;
  }

  /** Where the register page lies now, or -1 when there is none (x2APIC mode, or disabled). */
  public long pageAddress() {
    return globallyEnabled() && !x2apic() ? base & physicalMask & ~0xFFFL : -1;
  }

  // ---- delivery

  /** Whether this controller is meant by a destination. */
  boolean matches(int destination, boolean logical) {
    if (!globallyEnabled()) {
      // INIT and start-up reach a processor whatever the state of its controller; by its physical
      // id only.
      return !logical && (destination == id || destination == InterruptFabric.BROADCAST);
    }
    if (destination == InterruptFabric.BROADCAST) {
      return true;
    }
    if (!logical) {
      return destination == id;
    }
    if (x2apic()) {
      int mine = x2apicLogicalId();
      return destination >>> 16 == mine >>> 16 && (destination & mine & 0xFFFF) != 0;
    }
    int mine = logicalDestination >>> 24;
    if (destinationFormat >>> 28 == 0xF) {
      return (destination & mine) != 0;
    }
    int cluster = destination >> 4 & 0xF;
    return (cluster == mine >> 4 || cluster == 0xF) && (destination & mine & 0xF) != 0;
  }

  private int x2apicLogicalId() {
    return id >> 4 << 16 | 1 << (id & 15);
  }

  boolean accepting() {
    return globallyEnabled() && softwareEnabled();
  }

  /** Takes a message whose destination this is. */
  void deliver(int deliveryMode, int vector, boolean level) {
    switch (deliveryMode) {
      case InterruptFabric.FIXED, InterruptFabric.LOWEST_PRIORITY -> {
        if (accepting()) {
          request(vector, level);
        }
      }
      case InterruptFabric.NMI -> processor.nmi();
      case InterruptFabric.INIT -> processor.init();
      case InterruptFabric.STARTUP -> processor.startup(vector);
      case InterruptFabric.EXTINT -> {
        externalByMessage = true;
        update();
      }
      default -> {
        // SMI: there is no system management mode.
      }
    }
  }

  private void request(int vector, boolean level) {
    if (vector < 16) {
      error(ERROR_RECEIVE_VECTOR);
      return;
    }
    requests.add(vector);
    if (level) {
      triggerMode.add(vector);
    } else {
      triggerMode.remove(vector);
    }
    update();
  }

  private void error(int bit) {
    errors |= bit;
    int entry = localVectors[LVT_ERROR];
    if ((entry & LVT_MASKED) == 0 && (entry & 0xFF) >= 16) {
      request(entry & 0xFF, false);
    }
  }

  private void deliverLocal(int index) {
    int entry = localVectors[index];
    if ((entry & LVT_MASKED) == 0) {
      int mode = index == LVT_TIMER || index == LVT_ERROR ? InterruptFabric.FIXED : entry >> 8 & 7;
      deliver(mode, entry & 0xFF, false);
    }
  }

  /** The output of the 8259As changed. */
  public void setLint0(boolean asserted) {
    boolean rising = asserted && !lint0;
    lint0 = asserted;
    if (fabric.carried()) {
      update();
      return;
    }
    int mode = localVectors[LVT_LINT0] >> 8 & 7;
    if (rising && globallyEnabled() && mode != InterruptFabric.EXTINT) {
      deliverLocal(LVT_LINT0);
    }
    update();
  }

  private boolean externalPending() {
    if (!lint0) {
      externalByMessage = false;
      return false;
    }
    if (!globallyEnabled()) {
      return id == 0;
    }
    int entry = localVectors[LVT_LINT0];
    return externalByMessage
        || (entry & LVT_MASKED) == 0 && (entry >> 8 & 7) == InterruptFabric.EXTINT;
  }

  /** Whether the vector was sent here and has not been taken. */
  boolean requested(int vector) {
    return requests.contains(vector);
  }

  int processorPriority() {
    int served = inService.highest();
    return Math.max(taskPriority, served < 0 ? 0 : served & 0xF0);
  }

  private int deliverableVector() {
    int vector = requests.highest();
    if (vector < 0) {
      return -1;
    }
    int served = inService.highest();
    int priorityClass = Math.max(taskPriority >> 4, served < 0 ? 0 : served >> 4);
    return vector >> 4 > priorityClass ? vector : -1;
  }

  private void update() {
    if (fabric.carried()) {
      // Only what comes from the 8259As passes through here; who carries the rest knows whether
      // their line is let through.
      boolean now = lint0;
      boolean before = pending;
      pending = now;
      if (now && !before) {
        processor.kick();
      }
      return;
    }
    // A request that the interrupt in service holds up: its end may have come without our knowing.
    boolean endMayDeliver = sharedEnd.offered() && requests.highest() >> 4 > taskPriority >> 4;
    boolean now = retracted >= 0 || deliverableVector() >= 0 || externalPending() || endMayDeliver;
    boolean before = pending;
    pending = now;
    if (now && !before) {
      processor.kick();
    }
  }

  // ---- the processor's side

  @Override
  public boolean pending() {
    return pending;
  }

  @Override
  public int acknowledge() {
    if (fabric.carried()) {
      int external = lint0 ? pic.acknowledge() : -1;
      delivered++;
      update();
      return external;
    }
    if (retracted >= 0) {
      int again = retracted;
      retracted = -1;
      delivered++;
      update();
      return again;
    }
    takeSharedEnd();
    sharedEnd.withdraw();
    int vector = deliverableVector();
    boolean fromFabric = vector >= 0;
    if (fromFabric) {
      requests.remove(vector);
      inService.add(vector);
    } else if (externalPending()) {
      externalByMessage = false;
      vector = pic.acknowledge();
    } else {
      update();
      return -1;
    }
    delivered++;
    if (fromFabric) {
      // A device may send its next interrupt now, which then follows this one.
      fabric.taken(vector);
    }
    shareEnd();
    update();
    return vector;
  }

  @Override
  public void retract(int vector) {
    retracted = vector;
    delivered--;
    update();
  }

  @Override
  public int taskPriorityClass() {
    return taskPriority >> 4;
  }

  @Override
  public void setTaskPriorityClass(int priorityClass) {
    takeSharedEnd();
    taskPriority = (priorityClass & 15) << 4;
    update();
  }

  @Override
  public long readMsr(int index) {
    if (index == MSR_APIC_BASE) {
      return base;
    }
    if (index == MSR_TSC_DEADLINE) {
      accesses++;
      return timer.deadlineTsc();
    }
    if (index == MSR_SHARED_END) {
      return sharedEnd.register();
    }
    accesses++;
    takeSharedEnd();
    int register = index - MSR_X2APIC;
    if (!x2apic() || register < 0 || register > 0x3F) {
      throw new UnknownMsrException(index);
    }
    switch (register) {
      case 0x02 -> {
        return id;
      }
      case 0x0D -> {
        return x2apicLogicalId() & 0xFFFFFFFFL;
      }
      case 0x30 -> {
        return commandLow & 0xFFFFFFFFL | (long) commandHigh << 32;
      }
      default -> {
        if (!ApicRegisters.readableInX2apic(register)) {
          throw new UnknownMsrException(index);
        }
        return readRegister(register) & 0xFFFFFFFFL;
      }
    }
  }

  @Override
  public void writeMsr(int index, long value) {
    if (index == MSR_APIC_BASE) {
      writeBase(value);
      return;
    }
    if (index == MSR_TSC_DEADLINE) {
      accesses++;
      timer.setDeadlineTsc(value);
      return;
    }
    if (index == MSR_SHARED_END) {
      takeSharedEnd();
      sharedEnd.withdraw();
      if (!sharedEnd.accepts(value)) {
        throw new UnknownMsrException(index);
      }
      sharedEnd.setRegister(value);
      update();
      return;
    }
    accesses++;
    takeSharedEnd();
    int register = index - MSR_X2APIC;
    if (!x2apic() || !ApicRegisters.validX2apicWrite(register, value)) {
      throw new UnknownMsrException(index);
    }
    switch (register) {
      case 0x30 -> {
        commandHigh = (int) (value >>> 32);
        commandLow = (int) value & ~0x1000;
        sendCommand(commandHigh);
      }
      case 0x3F -> request((int) value, false);
      default -> writeRegister(register, (int) value);
    }
  }

  private void writeBase(long value) {
    boolean enable = (value & BASE_ENABLE) != 0;
    boolean extended = (value & BASE_X2APIC) != 0;
    boolean reserved =
        (value & ~(physicalMask & ~0xFFFL | BASE_BOOT_PROCESSOR | BASE_X2APIC | BASE_ENABLE)) != 0;
    boolean illegal =
        extended && !enable || x2apic() && enable && !extended || extended && !globallyEnabled();
    if (reserved || illegal) {
      throw new UnknownMsrException(MSR_APIC_BASE);
    }
    boolean disabled = globallyEnabled() && !enable;
    base = value & ~BASE_BOOT_PROCESSOR | (id == 0 ? BASE_BOOT_PROCESSOR : 0);
    if (disabled) {
      resetRegisters();
    }
    update();
  }

  /** The processor's time stamp counter was written. */
  public void tscOffsetChanged() {
    timer.tscOffsetChanged();
  }

  @Override
  public void initReset() {
    resetRegisters();
    update();
  }

  // ---- registers

  @Override
  public long readMmio(long offset, int sizeBytes) {
    accesses++;
    takeSharedEnd();
    int register = (int) (offset >> 4) & 0xFF;
    int within = (int) offset & 15;
    if (within + Math.min(sizeBytes, 4) > 4) {
      return 0;
    }
    int value =
        switch (register) {
          case 0x02 -> id << 24;
          case 0x09 -> 0;
          case 0x0D -> logicalDestination;
          case 0x0E -> destinationFormat;
          case 0x31 -> commandHigh;
          case 0x3F -> 0;
          default -> readRegister(register);
        };
    return (value & 0xFFFFFFFFL) >>> 8 * within;
  }

  @Override
  public void writeMmio(long offset, int sizeBytes, long value) {
    accesses++;
    takeSharedEnd();
    if ((offset & 15) != 0 || sizeBytes < 4) {
      return; // only aligned double words are defined
    }
    int register = (int) (offset >> 4) & 0xFF;
    switch (register) {
      case 0x0D -> logicalDestination = (int) value & 0xFF000000;
      case 0x0E -> destinationFormat = (int) value | 0x0FFFFFFF;
      case 0x30 -> {
        commandLow = (int) value & ~0x1000;
        int destination = commandHigh >>> 24;
        boolean logical = (commandLow & 0x800) != 0;
        sendCommand(destination == 0xFF && !logical ? InterruptFabric.BROADCAST : destination);
      }
      case 0x31 -> commandHigh = (int) value & 0xFF000000;
      case 0x02, 0x03, 0x09, 0x0A, 0x39, 0x3F -> {
        // Read-only or not in xAPIC mode.
      }
      default -> writeRegister(register, (int) value);
    }
  }

  /** A register that is the same in both modes. */
  private int readRegister(int register) {
    if (register >= 0x10 && register <= 0x17) {
      return inService.register(register - 0x10);
    }
    if (register >= 0x18 && register <= 0x1F) {
      return triggerMode.register(register - 0x18);
    }
    if (register >= 0x20 && register <= 0x27) {
      return requests.register(register - 0x20);
    }
    if (register >= 0x32 && register <= 0x37) {
      return localVectors[register - 0x32];
    }
    return switch (register) {
      case 0x03 -> VERSION;
      case 0x08 -> taskPriority;
      case 0x0A -> readProcessorPriority();
      case 0x0F -> spurious;
      case 0x28 -> errorsShown;
      case 0x30 -> commandLow;
      case 0x38 -> timer.initialCount();
      case 0x39 -> timer.currentCount();
      case 0x3E -> timer.divideConfiguration();
      default -> {
        if (register != 0x0B) {
          error(ERROR_REGISTER);
        }
        yield 0;
      }
    };
  }

  private int readProcessorPriority() {
    int served = inService.highest();
    int servedClass = served < 0 ? 0 : served & 0xF0;
    return (taskPriority & 0xF0) >= servedClass ? taskPriority : servedClass;
  }

  private void writeRegister(int register, int value) {
    if (register >= 0x32 && register <= 0x37) {
      writeLocalVector(register - 0x32, value);
      return;
    }
    switch (register) {
      case 0x08 -> {
        taskPriority = value & 0xFF;
        update();
      }
      case 0x0B -> endOfInterrupt();
      case 0x0F -> {
        spurious = value & 0x1FF;
        if (!softwareEnabled()) {
          for (int i = 0; i < localVectors.length; i++) {
            localVectors[i] |= LVT_MASKED;
          }
        }
        update();
      }
      case 0x28 -> {
        errorsShown = errors;
        errors = 0;
      }
      case 0x38 -> timer.setInitialCount(value);
      case 0x3E -> timer.setDivideConfiguration(value);
      default -> error(ERROR_REGISTER);
    }
  }

  private void writeLocalVector(int index, int value) {
    int entry = value & ApicRegisters.localVectorMask(index);
    localVectors[index] = softwareEnabled() ? entry : entry | LVT_MASKED;
    if (index == LVT_TIMER) {
      timer.setMode(entry >> 17 & 3);
    }
    update();
  }

  private void endOfInterrupt() {
    sharedEnd.withdraw();
    endHighest();
  }

  private void endHighest() {
    int vector = inService.highest();
    if (vector < 0) {
      return;
    }
    endsOfInterrupt++;
    inService.remove(vector);
    update();
    if (triggerMode.contains(vector)) {
      fabric.ended(vector);
    }
  }

  /**
   * Lets the guest end the interrupt just taken without an access: only where its end changes
   * nothing else, since nobody waits behind it and no I/O APIC has to hear of it.
   */
  private void shareEnd() {
    if (sharedEnd.inUse()
        && inService.single()
        && requests.highest() < 0
        && !triggerMode.contains(inService.highest())) {
      sharedEnd.offer();
    }
  }

  private void takeSharedEnd() {
    if (sharedEnd.taken()) {
      endsByMemory++;
      endHighest();
    }
  }

  private void sendCommand(int destination) {
    int vector = commandLow & 0xFF;
    int mode = commandLow >> 8 & 7;
    boolean logical = (commandLow & 0x800) != 0;
    boolean deassert = mode == InterruptFabric.INIT && (commandLow & 0xC000) == 0x8000;
    if (deassert || mode == 3 || mode == InterruptFabric.EXTINT) {
      return; // INIT level de-assert does nothing since the Pentium 4; the others are reserved
    }
    if (mode == InterruptFabric.FIXED && vector < 16) {
      error(ERROR_SEND_VECTOR);
      return;
    }
    switch (commandLow >> 18 & 3) {
      case 0 -> fabric.send(destination, logical, mode, vector, false);
      case 1 -> deliver(mode, vector, false);
      case 2 -> fabric.sendToAll(this, true, mode, vector);
      default -> fabric.sendToAll(this, false, mode, vector);
    }
  }

  // ---- where others carry local APICs

  @Override
  public void ended(int vector) {
    fabric.ended(vector);
  }

  /** Takes the registers as the host's kernel has them. */
  @Override
  public void takeRegisters(MemorySegment page, Besides besides) {
    for (int i = 0; i < 8; i++) {
      inService.setRegister(i, word(page, 0x10 + i));
      triggerMode.setRegister(i, word(page, 0x18 + i));
      requests.setRegister(i, word(page, 0x20 + i));
    }
    for (int i = 0; i < localVectors.length; i++) {
      localVectors[i] = word(page, 0x32 + i);
    }
    taskPriority = word(page, 0x08) & 0xFF;
    logicalDestination = x2apic() ? 0 : word(page, 0x0D);
    destinationFormat = word(page, 0x0E);
    spurious = word(page, 0x0F) & 0x1FF;
    errorsShown = word(page, 0x28);
    commandLow = word(page, 0x30);
    commandHigh = word(page, 0x31);
    sharedEnd.setRegister(besides.sharedEnd());
    retracted = besides.underWay();
    timer.hold(
        localVectors[LVT_TIMER] >> 17 & 3,
        word(page, 0x38),
        word(page, 0x39),
        word(page, 0x3E),
        besides.deadlineTsc());
  }

  /** Also settles what the guest and we share, since nobody else will know of our offer. */
  @Override
  public Besides putRegisters(MemorySegment page) {
    takeSharedEnd();
    sharedEnd.withdraw();
    page.fill((byte) 0);
    for (int i = 0; i < 8; i++) {
      putWord(page, 0x10 + i, inService.register(i));
      putWord(page, 0x18 + i, triggerMode.register(i));
      putWord(page, 0x20 + i, requests.register(i));
    }
    for (int i = 0; i < localVectors.length; i++) {
      putWord(page, 0x32 + i, localVectors[i]);
    }
    // Also in x2APIC mode: KVM takes and gives it so unless told otherwise (KVM_CAP_X2APIC_API).
    putWord(page, 0x02, id << 24);
    putWord(page, 0x03, VERSION);
    putWord(page, 0x08, taskPriority);
    putWord(page, 0x0D, x2apic() ? x2apicLogicalId() : logicalDestination);
    putWord(page, 0x0E, destinationFormat);
    putWord(page, 0x0F, spurious);
    putWord(page, 0x28, errorsShown);
    putWord(page, 0x30, commandLow);
    putWord(page, 0x31, commandHigh);
    putWord(page, 0x38, timer.initialCount());
    putWord(page, 0x39, timer.heldCount());
    putWord(page, 0x3E, timer.divideConfiguration());
    return new Besides(timer.heldDeadlineTsc(), sharedEnd.register(), retracted);
  }

  @Override
  public long heldDeadlineTsc() {
    return timer.heldDeadlineTsc();
  }

  private static int word(MemorySegment page, int register) {
    return page.get(ValueLayout.JAVA_INT, 16L * register);
  }

  private static void putWord(MemorySegment page, int register, int value) {
    page.set(ValueLayout.JAVA_INT, 16L * register, value);
  }

  // ---- life cycle

  @Override
  public String name() {
    return "lapic" + id;
  }

  @Override
  public void reset() {
    base = DEFAULT_BASE | BASE_ENABLE | (id == 0 ? BASE_BOOT_PROCESSOR : 0);
    lint0 = false;
    resetRegisters();
    pending = false;
  }

  private void resetRegisters() {
    inService.clear();
    requests.clear();
    triggerMode.clear();
    java.util.Arrays.fill(localVectors, LVT_MASKED);
    if (id == 0) {
      // What firmware leaves behind: interrupts of the 8259As pass through the boot processor's
      // LINT0.
      localVectors[LVT_LINT0] = InterruptFabric.EXTINT << 8;
      localVectors[LVT_LINT1] = InterruptFabric.NMI << 8;
    }
    taskPriority = 0;
    logicalDestination = 0;
    destinationFormat = 0xFFFFFFFF;
    spurious = 0xFF;
    errors = 0;
    errorsShown = 0;
    commandLow = 0;
    commandHigh = 0;
    externalByMessage = false;
    sharedEnd.reset();
    retracted = -1;
    timer.reset();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION);
    inService.save(out);
    requests.save(out);
    triggerMode.save(out);
    out.putInts(localVectors).putLong(base).putInt(taskPriority).putInt(logicalDestination);
    out.putInt(destinationFormat).putInt(spurious).putInt(errors).putInt(errorsShown);
    out.putInt(commandLow).putInt(commandHigh).putBoolean(lint0).putBoolean(externalByMessage);
    sharedEnd.save(out);
    out.putInt(retracted);
    timer.save(out);
  }

  @Override
  public void restore(StateReader in) {
    int version = in.record(name(), STATE_VERSION);
    inService.restore(in);
    requests.restore(in);
    triggerMode.restore(in);
    in.getInts(localVectors);
    base = in.getLong();
    taskPriority = in.getInt() & 0xFF;
    logicalDestination = in.getInt();
    destinationFormat = in.getInt();
    spurious = in.getInt();
    errors = in.getInt();
    errorsShown = in.getInt();
    commandLow = in.getInt();
    commandHigh = in.getInt();
    lint0 = in.getBoolean();
    externalByMessage = in.getBoolean();
    if (version >= 2) {
      sharedEnd.restore(in);
      retracted = Math.clamp(in.getInt(), -1, 255);
    }
    timer.restore(in);
    update();
  }
}
