package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.cpu.RingObserver;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.x86.interpret.CpuReset;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A processor that KVM runs. The hardware counts no instructions, so a budget is not kept and
 * {@link CpuState#instructions} stands still.
 *
 * <p>The state lies in KVM while guest code runs, and is fetched when somebody asks for it. Before
 * {@link #run} returns, an instruction that waited for a device is completed.
 */
public final class KvmCpu implements VirtualCpu, AutoCloseable {
  private static final int KICK = 1, NMI = 2, INIT = 4, STARTUP = 8, WAKE = 16;
  private static final int MSR_APIC_BASE = 0x1B;

  /** Entries after which an exception that is not delivered is left to happen again. */
  private static final int PATIENCE = 100;

  private static final long WAKE_AGAIN_NANOS = 1_000_000;

  /** How long the guest may run so that an exception is delivered. */
  private static final long SHORTEST_ENTRY_NANOS = 20_000, LONGEST_ENTRY_NANOS = 2_000_000;

  private final int index;
  private final HostSystem system;
  private final Arena arena = Arena.ofShared();
  private final KvmVirtualMachine machine;
  private final int descriptor;
  private final KvmRunPage page;
  private final KvmStateTransfer transfer;
  private final VcpuKick kick = new VcpuKick();
  private final CpuState state;
  private final ExitCounters exits;
  private final Bus bus;
  private final LocalInterrupts interrupts;
  private final KvmModelRegisters registers;
  private final KvmModelAccess modelAccess;
  private final MemorySegment interruptNumber;

  /** Where the host's kernel has the local APIC. */
  private final @Nullable KvmLocalApic localApic;

  private @Nullable ParavirtualProcessor paravirtual;

  private volatile int attention;
  private volatile @Nullable Thread waiter;
  private int startupVector;

  /** The state in KVM is newer than ours. */
  private boolean stale;

  /** Ours was written from outside and KVM does not have it yet. */
  private boolean replaced = true;

  private boolean timeChanged = true;
  private final KvmClock clock;
  private boolean readyKnown;
  private boolean instructionPending;
  private long interruptsTaken;
  private @Nullable RingObserver ringObserver;
  private boolean inRing3;

  /** An interrupt that KVM's own controller had begun to deliver, or -1. */
  private int deliveredAgain = -1;

  /**
   * Makes a processor.
   *
   * @param model as {@link #modelFor} gives it
   * @param bus the processor's view, and with {@code interrupts} what it is connected to for good
   */
  public KvmCpu(
      int index,
      KvmVirtualMachine machine,
      CpuModel model,
      LongSupplier boardNanos,
      Bus bus,
      LocalInterrupts interrupts,
      ExitCounters exits)
      throws KvmException {
    this.index = index;
    this.machine = machine;
    this.system = machine.newSystem();
    this.bus = bus;
    this.interrupts = interrupts;
    this.exits = exits;
    this.registers = new KvmModelRegisters(machine.memory(), bus, model, interrupts);
    this.state = registers.state;
    this.descriptor = system.ioctl(machine.descriptor(), KvmNumbers.CREATE_VCPU, index);
    if (descriptor < 0) {
      throw new KvmException("KVM makes no processor " + index + ", error " + system.errno());
    }
    try {
      this.page = KvmRunPage.map(system, descriptor, machine.runBytes());
    } catch (KvmException e) {
      system.close(descriptor);
      throw e;
    }
    this.transfer = new KvmStateTransfer(system, descriptor, arena);
    this.interruptNumber = arena.allocate(ValueLayout.JAVA_INT);
    this.localApic =
        machine.carriesLocalApics()
            ? new KvmLocalApic(system, descriptor, transfer, interrupts, arena)
            : null;
    this.clock = new KvmClock(machine, model, boardNanos, transfer, state, interrupts);
    this.modelAccess =
        new KvmModelAccess(
            page, registers, transfer, clock, interrupts, this::taskPriorityClass, exits);
    try {
      describe(model);
      reset();
    } catch (KvmException | RuntimeException e) {
      close();
      throw e;
    }
  }

  private void describe(CpuModel model) throws KvmException {
    MemorySegment cpuid = KvmCpuid.table(model, index, arena);
    if (system.ioctl(descriptor, KvmNumbers.SET_CPUID2, cpuid) < 0) {
      throw new KvmException("KVM refuses the processor model, error " + system.errno());
    }
    if (machine.scalesTsc()) {
      system.ioctl(descriptor, KvmNumbers.SET_TSC_KHZ, model.tscHertz() / 1000);
    }
  }

  /** A model as this machine's hardware can show it. */
  public static CpuModel modelFor(CpuModel model, KvmVirtualMachine machine) {
    return model.withTscHertz(machine.tscHertz()).without(machine.missingFeatures());
  }

  /** Gives the paravirtual interface; before the first instruction. */
  public void setParavirtual(ParavirtualProcessor newInterface) {
    paravirtual = newInterface;
    registers.paravirtual = newInterface;
  }

  @Override
  public @Nullable ParavirtualProcessor paravirtual() {
    return paravirtual;
  }

  // ---- VirtualCpu

  @Override
  public int index() {
    return index;
  }

  @Override
  public CpuState state() {
    if (stale) {
      fetch();
    }
    return state;
  }

  @Override
  public void reset() {
    CpuReset.reset(state, index == 0);
    state.instructions = 0;
    attention = 0;
    stateReplaced();
  }

  @Override
  public void stateReplaced() {
    replaced = true;
    // The state has the counter's offset in it.
    timeChanged = true;
    stale = false;
    readyKnown = false;
    instructionPending = false;
    if (localApic != null) {
      // Now, while all stand still: from here on others may send messages to it.
      deliveredAgain = localApic.give(state);
    }
  }

  @Override
  public void timeChanged() {
    timeChanged = true;
    clock.moved();
  }

  @Override
  public void dropCaches() {
    // The hardware keeps its own in order.
  }

  @Override
  public void flushTranslations() {
    CpuState current = state();
    long apicBase = interrupts.readMsr(MSR_APIC_BASE);
    current.cr4 ^= CpuState.CR4_PGE;
    transfer.putSpecial(current, apicBase, taskPriorityClass());
    current.cr4 ^= CpuState.CR4_PGE;
    transfer.putSpecial(current, apicBase, taskPriorityClass());
  }

  @Override
  public boolean inRing3() {
    return inRing3;
  }

  @Override
  public void setRingObserver(RingObserver observer) {
    ringObserver = observer;
    if (machine.copiesSegments()) {
      page.copySegments();
    }
  }

  @Override
  public long interruptsTaken() {
    return interruptsTaken;
  }

  /** The hardware does not tell. */
  @Override
  public long exceptionsTaken() {
    return 0;
  }

  @Override
  public void kick() {
    raise(KICK);
  }

  @Override
  public void nmi() {
    raise(NMI);
  }

  @Override
  public void wake() {
    raise(WAKE);
  }

  @Override
  public void init() {
    raise(INIT);
  }

  @Override
  public void startup(int vector) {
    startupVector = vector & 0xFF;
    raise(STARTUP);
  }

  private void raise(int bits) {
    synchronized (this) {
      attention |= bits;
    }
    kick.send();
    Thread parked = waiter;
    if (parked != null) {
      LockSupport.unpark(parked);
    }
  }

  private synchronized void lower(int bits) {
    attention &= ~bits;
  }

  @Override
  public void awaitSignal(BooleanSupplier done) {
    waiter = Thread.currentThread();
    try {
      while (attention == 0 && !(interruptFlag() && interrupts.pending()) && !done.getAsBoolean()) {
        LockSupport.park(this);
      }
    } finally {
      waiter = null;
    }
  }

  @Override
  public void settleSignals() {
    CpuState current = state();
    takeStartSignals(attention);
    if ((attention & NMI) != 0) {
      lower(NMI);
      current.nmiPending = true;
      replaced = true;
    }
  }

  // ---- the loop

  @Override
  public Exit run(long instructionBudget) {
    kick.adopt(system, descriptor);
    while (true) {
      Exit exit = attend();
      if (exit == null) {
        if (replaced) {
          give();
        }
        if (timeChanged) {
          clock.put();
          if (localApic != null) {
            localApic.giveDeadline(clock::ticks);
          }
          timeChanged = false;
        }
        offerInterrupt();
        exit = handle(enterGuest(false));
      }
      if (exit != null) {
        return complete(exit);
      }
    }
  }

  private @Nullable Exit attend() {
    int reasons = attention;
    takeStartSignals(reasons);
    if ((reasons & WAKE) != 0) {
      lower(WAKE);
      if (localApic == null) {
        state.paravirtual.kicked = true;
      } else if (!localApic.wake()) {
        // The HLT that this is to end comes later, and is no exit.
        kick.later(WAKE_AGAIN_NANOS, this::wake);
      }
    }
    if ((reasons & KICK) != 0) {
      lower(KICK);
      return new Exit.Interrupted();
    }
    if (state.waitingForStartup && localApic == null) {
      return new Exit.Halted();
    }
    if ((reasons & NMI) != 0) {
      lower(NMI);
      if (replaced && localApic == null) {
        state.halted = false;
        state.nmiPending = true;
      } else {
        state.halted = false;
        system.ioctl(descriptor, KvmNumbers.NMI, 0);
      }
    }
    if (!state.halted || localApic != null) {
      return null;
    }
    boolean interrupt = interruptFlag() && interrupts.pending();
    if (!interrupt && !state.paravirtual.kicked && !(replaced && state.nmiPending)) {
      return new Exit.Halted();
    }
    state.halted = false;
    state.paravirtual.kicked = false;
    return null;
  }

  private void takeStartSignals(int reasons) {
    if ((reasons & INIT) != 0) {
      lower(INIT);
      CpuReset.init(state(), index == 0);
      interrupts.initReset();
      stateReplaced();
    }
    if ((reasons & STARTUP) != 0) {
      lower(STARTUP);
      if (state.waitingForStartup) {
        CpuReset.startup(state(), startupVector);
        stateReplaced();
      }
    }
  }

  private boolean interruptFlag() {
    return stale ? page.interruptFlag() : (state.systemFlags & CpuState.IF) != 0;
  }

  private boolean ready() {
    if (readyKnown) {
      return page.ready();
    }
    // Just given to KVM, with no event under way.
    return !stale
        && (state.systemFlags & CpuState.IF) != 0
        && !state.interruptShadow
        && !state.stackShadow;
  }

  /** Gives KVM an interrupt, or has it tell when it can take one. */
  private void offerInterrupt() {
    if (interrupts.pending() && ready()) {
      int vector = interrupts.acknowledge();
      if (vector >= 0) {
        interruptNumber.set(ValueLayout.JAVA_INT, 0, vector);
        if (system.ioctl(descriptor, KvmNumbers.INTERRUPT, interruptNumber) < 0) {
          throw new IllegalStateException(
              "KVM refuses interrupt " + vector + ", error " + system.errno());
        }
        interruptsTaken++;
        // Until KVM says otherwise: a second one would take the place of the first.
        readyKnown = true;
        page.setNotReady();
      }
    }
    page.requestWindow(interrupts.pending());
  }

  /**
   * Lets guest code run until the next exit.
   *
   * @param onlyComplete complete the instruction that waits for us, and run no other
   * @return the exit's reason
   */
  private int enterGuest(boolean onlyComplete) {
    int priority = taskPriorityClass();
    page.setTaskPriority(priority);
    page.setImmediateExit(onlyComplete);
    int result;
    int error = 0;
    kick.enter();
    try {
      // Who raised this before the kick could reach us is not overlooked.
      if (attention != 0 && !onlyComplete) {
        return KvmNumbers.EXIT_INTR;
      }
      stale = true;
      readyKnown = true;
      instructionPending = false;
      result = system.ioctl(descriptor, KvmNumbers.RUN, 0);
      error = system.errno();
    } finally {
      kick.leave(system);
    }
    RingObserver observer = ringObserver;
    if (observer != null) {
      inRing3 = privilege() == 3;
      observer.ranIn(inRing3);
    }
    int reason = page.reason();
    if (result < 0) {
      if (error != HostSystem.EINTR && error != HostSystem.EAGAIN) {
        throw new IllegalStateException("KVM cannot run the processor, error " + error);
      }
      reason = KvmNumbers.EXIT_INTR;
    }
    int newPriority = page.taskPriority();
    if (newPriority != priority && localApic == null) {
      interrupts.setTaskPriorityClass(newPriority);
    }
    return reason;
  }

  /** CR8. */
  private int taskPriorityClass() {
    return localApic == null || replaced ? interrupts.taskPriorityClass() : page.taskPriority();
  }

  private int privilege() {
    return machine.copiesSegments() ? page.privilege() : transfer.privilege();
  }

  private @Nullable Exit handle(int reason) {
    switch (reason) {
      case KvmNumbers.EXIT_IO -> {
        instructionPending = true;
        page.accessPort(bus);
      }
      case KvmNumbers.EXIT_MMIO -> {
        instructionPending = true;
        page.accessMemory(bus);
      }
      case KvmNumbers.EXIT_X86_RDMSR -> {
        instructionPending = true;
        modelAccess.read();
      }
      case KvmNumbers.EXIT_X86_WRMSR -> {
        instructionPending = true;
        modelAccess.write();
      }
      case KvmNumbers.EXIT_HLT -> {
        exits.count(ExitReason.HALT);
        state.halted = true;
      }
      case KvmNumbers.EXIT_IRQ_WINDOW_OPEN -> exits.count(ExitReason.INTERRUPT_WINDOW);
      case KvmNumbers.EXIT_INTR -> exits.count(ExitReason.KICK);
      case KvmNumbers.EXIT_IOAPIC_EOI -> interrupts.ended(page.endedVector());
      case KvmNumbers.EXIT_SET_TPR -> exits.count(ExitReason.INTERRUPT_CONTROLLER);
      case KvmNumbers.EXIT_SHUTDOWN -> {
        return new Exit.Shutdown("triple fault");
      }
      default ->
          throw new IllegalStateException(
              "KVM stopped with reason %d (%x) at %x"
                  .formatted(reason, page.detail(), state().rip));
    }
    return null;
  }

  /**
   * Brings the processor to an instruction boundary with nothing under way.
   *
   * @return how the run ended: as given, or by what happened on the way
   */
  private Exit complete(Exit exit) {
    completeInstruction();
    long delay = SHORTEST_ENTRY_NANOS;
    for (int i = 0; i < PATIENCE && stale && transfer.takeEvents(state).exception(); i++) {
      // A signal that waits would keep KVM from entering the guest, and none would leave it there.
      kick.sendLater(delay);
      Exit other = handle(enterGuest(false));
      completeInstruction();
      if (other != null) {
        return other;
      }
      delay = Math.min(2 * delay, LONGEST_ENTRY_NANOS);
    }
    return exit;
  }

  private void completeInstruction() {
    while (instructionPending) {
      handle(enterGuest(true));
    }
  }

  // ---- the state there and back

  private void give() {
    if (localApic == null) {
      state.halted = false;
    }
    transfer.put(state, interrupts.readMsr(MSR_APIC_BASE), taskPriorityClass());
    if (deliveredAgain >= 0) {
      transfer.putInterruptUnderWay(deliveredAgain);
      deliveredAgain = -1;
    }
    replaced = false;
    stale = false;
    readyKnown = false;
    state.nmiPending = false;
  }

  /** For tests: gives the state to KVM and has it fetched from there. */
  void giveAndForget() {
    give();
    stale = true;
  }

  private void fetch() {
    KvmStateTransfer.InFlight inFlight = transfer.take(state);
    stale = false;
    KvmLocalApic apic = localApic;
    if (apic != null) {
      apic.take(state, clock::nanos, inFlight.interruptVector());
    }
    if (!inFlight.none() || state.nmiPending) {
      // An interrupt that KVM was given and has not delivered goes back to where it came from.
      if (inFlight.interruptVector() >= 0 && apic != null) {
        deliveredAgain = inFlight.interruptVector();
      } else if (inFlight.interruptVector() >= 0) {
        interrupts.retract(inFlight.interruptVector());
      }
      replaced = true;
    }
  }

  @Override
  public void close() {
    page.unmap(system);
    system.close(descriptor);
    arena.close();
  }
}
