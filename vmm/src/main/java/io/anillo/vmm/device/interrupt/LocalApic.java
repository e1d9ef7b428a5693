package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.cpu.CpuSignals;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.lang.foreign.MemorySegment;
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

  /** Version 0x14 with six entries in the local vector table. */
  private static final int VERSION = 0x00050014;

  private static final int ERROR_SEND_VECTOR = 1 << 5,
      ERROR_RECEIVE_VECTOR = 1 << 6,
      ERROR_REGISTER = 1 << 7;

  private final int id;
  private final InterruptFabric fabric;
  private final CpuSignals processor;
  private final PicPair pic;
  private final ApicAddressing addressing;
  private final ApicTimer timer;

  private final ApicVectors vectors = new ApicVectors();
  private final LocalVectorTable localVectors = new LocalVectorTable();
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
    this.addressing = new ApicAddressing(id, physicalBits);
    this.timer =
        new ApicTimer(
            board,
            "lapic" + id,
            tscOffset,
            () -> deliverLocal(LocalVectorTable.TIMER),
            fabric::carried);
    fabric.add(this);
    reset();
  }

  public Metrics metrics() {
    return new Metrics(delivered, endsOfInterrupt, endsByMemory, accesses);
  }

  // ---- modes

  private boolean softwareEnabled() {
    return (spurious & 0x100) != 0;
  }

  /** Where the register page lies now, or -1 when there is none (x2APIC mode, or disabled). */
  public long pageAddress() {
    return addressing.pageAddress();
  }

  // ---- delivery

  /** Whether this controller is meant by a destination. */
  boolean matches(int destination, boolean logical) {
    return addressing.matches(destination, logical);
  }

  boolean accepting() {
    return addressing.enabled() && softwareEnabled();
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
    vectors.request(vector, level);
    update();
  }

  private void error(int bit) {
    errors |= bit;
    int vector = localVectors.vector(LocalVectorTable.ERROR);
    if (!localVectors.masked(LocalVectorTable.ERROR) && vector >= 16) {
      request(vector, false);
    }
  }

  private void deliverLocal(int index) {
    if (!localVectors.masked(index)) {
      deliver(localVectors.mode(index), localVectors.vector(index), false);
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
    int mode = localVectors.mode(LocalVectorTable.LINT0);
    if (rising && addressing.enabled() && mode != InterruptFabric.EXTINT) {
      deliverLocal(LocalVectorTable.LINT0);
    }
    update();
  }

  private boolean externalPending() {
    if (!lint0) {
      externalByMessage = false;
      return false;
    }
    if (!addressing.enabled()) {
      return id == 0;
    }
    return externalByMessage
        || !localVectors.masked(LocalVectorTable.LINT0)
            && localVectors.mode(LocalVectorTable.LINT0) == InterruptFabric.EXTINT;
  }

  /** Whether the vector was sent here and has not been taken. */
  boolean requested(int vector) {
    return vectors.requested(vector);
  }

  int processorPriority() {
    return vectors.processorPriority();
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
    boolean endMayDeliver = sharedEnd.offered() && vectors.heldUpByService();
    boolean now =
        retracted >= 0 || vectors.deliverable() >= 0 || externalPending() || endMayDeliver;
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
    int vector = vectors.deliverable();
    boolean fromFabric = vector >= 0;
    if (fromFabric) {
      vectors.serve(vector);
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
    return vectors.taskPriority() >> 4;
  }

  @Override
  public void setTaskPriorityClass(int priorityClass) {
    takeSharedEnd();
    vectors.setTaskPriority(priorityClass << 4);
    update();
  }

  @Override
  public long readMsr(int index) {
    if (index == MSR_APIC_BASE) {
      return addressing.base();
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
    if (!addressing.x2apic() || register < 0 || register > 0x3F) {
      throw new UnknownMsrException(index);
    }
    switch (register) {
      case 0x02 -> {
        return id;
      }
      case 0x0D -> {
        return addressing.x2apicLogicalId() & 0xFFFFFFFFL;
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
    if (!addressing.x2apic() || !ApicRegisters.validX2apicWrite(register, value)) {
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
    if (!addressing.accepts(value)) {
      throw new UnknownMsrException(MSR_APIC_BASE);
    }
    boolean before = addressing.enabled();
    addressing.setBase(value);
    if (before && !addressing.enabled()) {
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
          case 0x0D -> addressing.logicalDestination();
          case 0x0E -> addressing.destinationFormat();
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
      case 0x0D -> addressing.setLogicalDestination((int) value & 0xFF000000);
      case 0x0E -> addressing.setDestinationFormat((int) value | 0x0FFFFFFF);
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
    if (ApicVectors.has(register)) {
      return vectors.register(register);
    }
    if (LocalVectorTable.has(register)) {
      return localVectors.register(register);
    }
    return switch (register) {
      case 0x03 -> VERSION;
      case 0x08 -> vectors.taskPriority();
      case 0x0A -> vectors.priorityRegister();
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

  private void writeRegister(int register, int value) {
    if (LocalVectorTable.has(register)) {
      localVectors.write(register, value, softwareEnabled());
      timer.setMode(localVectors.timerMode());
      update();
      return;
    }
    switch (register) {
      case 0x08 -> {
        vectors.setTaskPriority(value);
        update();
      }
      case 0x0B -> endOfInterrupt();
      case 0x0F -> {
        spurious = value & 0x1FF;
        if (!softwareEnabled()) {
          localVectors.maskAll();
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

  private void endOfInterrupt() {
    sharedEnd.withdraw();
    endHighest();
  }

  private void endHighest() {
    int vector = vectors.end();
    if (vector < 0) {
      return;
    }
    endsOfInterrupt++;
    update();
    if (vectors.byLevel(vector)) {
      fabric.ended(vector);
    }
  }

  /**
   * Lets the guest end the interrupt just taken without an access: only where its end changes
   * nothing else, since nobody waits behind it and no I/O APIC has to hear of it.
   */
  private void shareEnd() {
    if (sharedEnd.inUse() && vectors.servesOneByEdge()) {
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
    ApicPage from = new ApicPage(page);
    from.take(vectors);
    localVectors.take(from);
    vectors.setTaskPriority(from.get(0x08));
    addressing.setLogicalDestination(addressing.x2apic() ? 0 : from.get(0x0D));
    addressing.setDestinationFormat(from.get(0x0E));
    spurious = from.get(0x0F) & 0x1FF;
    errorsShown = from.get(0x28);
    commandLow = from.get(0x30);
    commandHigh = from.get(0x31);
    sharedEnd.setRegister(besides.sharedEnd());
    retracted = besides.underWay();
    timer.hold(
        localVectors.timerMode(),
        from.get(0x38),
        from.get(0x39),
        from.get(0x3E),
        besides.deadlineTsc());
  }

  /** Also settles what the guest and we share, since nobody else will know of our offer. */
  @Override
  public Besides putRegisters(MemorySegment page) {
    takeSharedEnd();
    sharedEnd.withdraw();
    ApicPage to = new ApicPage(page);
    to.clear();
    to.put(vectors);
    localVectors.put(to);
    // Also in x2APIC mode: KVM takes and gives it so unless told otherwise (KVM_CAP_X2APIC_API).
    to.put(0x02, id << 24);
    to.put(0x03, VERSION);
    to.put(0x08, vectors.taskPriority());
    to.put(
        0x0D, addressing.x2apic() ? addressing.x2apicLogicalId() : addressing.logicalDestination());
    to.put(0x0E, addressing.destinationFormat());
    to.put(0x0F, spurious);
    to.put(0x28, errorsShown);
    to.put(0x30, commandLow);
    to.put(0x31, commandHigh);
    to.put(0x38, timer.initialCount());
    to.put(0x39, timer.heldCount());
    to.put(0x3E, timer.divideConfiguration());
    return new Besides(timer.heldDeadlineTsc(), sharedEnd.register(), retracted);
  }

  @Override
  public long heldDeadlineTsc() {
    return timer.heldDeadlineTsc();
  }

  // ---- life cycle

  @Override
  public String name() {
    return "lapic" + id;
  }

  @Override
  public void reset() {
    addressing.reset();
    lint0 = false;
    resetRegisters();
    pending = false;
  }

  private void resetRegisters() {
    vectors.clear();
    localVectors.reset(id == 0);
    addressing.resetDestination();
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
    vectors.save(out);
    localVectors.save(out);
    out.putLong(addressing.base()).putInt(vectors.taskPriority());
    out.putInt(addressing.logicalDestination()).putInt(addressing.destinationFormat());
    out.putInt(spurious).putInt(errors).putInt(errorsShown);
    out.putInt(commandLow).putInt(commandHigh).putBoolean(lint0).putBoolean(externalByMessage);
    sharedEnd.save(out);
    out.putInt(retracted);
    timer.save(out);
  }

  @Override
  public void restore(StateReader in) {
    int version = in.record(name(), STATE_VERSION);
    vectors.restore(in);
    localVectors.restore(in);
    addressing.restoreBase(in.getLong());
    vectors.setTaskPriority(in.getInt());
    addressing.setLogicalDestination(in.getInt());
    addressing.setDestinationFormat(in.getInt());
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
