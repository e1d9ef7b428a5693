package io.anillo.vmm.machine;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.boot.BootLoader;
import io.anillo.vmm.boot.BootRequest;
import io.anillo.vmm.boot.LoadedKernel;
import io.anillo.vmm.boot.MemoryRegion;
import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.CpuStateRecord;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.device.firmware.PhysicalMemoryMap;
import io.anillo.vmm.hypercall.CableSplitter;
import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.kvm.KvmException;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import io.anillo.vmm.x86.translate.Translator;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A virtual machine: memory, processors on their threads, and the board.
 *
 * <p>{@link #run} boots and returns when the guest is done. {@link #stop} ends it from another
 * thread.
 */
public final class Machine implements AutoCloseable {
  private static final int STATE_VERSION = 3;

  private final MachineConfig config;
  private final GuestMemory memory;
  private final BoardExecutor executor;
  private final MachineBoard board;
  private final long[] earlierInstructions;
  private final List<ProcessorActivity> activities = new ArrayList<>();
  private final ProcessorSet set;
  private final List<VirtualCpu> processors;
  private final List<ProcessorThread> threads = new ArrayList<>();
  private final @Nullable BoardThread boardThread;
  private LoadedKernel kernel = new LoadedKernel("none", "", 0);
  private volatile List<Thread> running = List.of();
  private volatile boolean stopped;
  private volatile boolean ending;
  private volatile @Nullable MachineRequest request;
  private volatile @Nullable Throwable failure;

  private Machine(MachineConfig given, GuestMemory memory, BoardExecutor executor)
      throws KvmException {
    this.config = given.paravirtual() ? withSharedCable(given) : given;
    this.memory = memory;
    this.executor = executor;
    this.earlierInstructions = new long[config.cpus()];
    this.set = new ProcessorSet(config, boardConfig(config), memory, executor);
    this.board = set.board;
    this.processors = List.copyOf(set.processors);
    for (VirtualCpu cpu : processors) {
      ProcessorActivity activity = board.activityOf(cpu.index());
      activities.add(activity);
      threads.add(new ProcessorThread(this, cpu, executor, activity));
    }
    if (config.engine() == MachineConfig.Engine.KVM_LOCAL_APICS) {
      BoardThread made = new BoardThread(this, executor, processors.getFirst()::kick);
      executor.setKick(made::kick);
      boardThread = made;
    } else {
      boardThread = null;
    }
    DeviceSet.attach(config, board);
  }

  /** The first network's cable is shared by the card and the hypercalls' rings. */
  private static MachineConfig withSharedCable(MachineConfig config) {
    List<NetworkBackend> networks = new ArrayList<>(config.networks());
    if (!networks.isEmpty()) {
      networks.set(0, new CableSplitter(networks.getFirst()));
    }
    return config.withNetworks(networks);
  }

  private static BoardConfig boardConfig(MachineConfig config) {
    BoardConfig result = BoardConfig.of(config.cpus());
    List<CharBackend> serial = config.serial();
    if (!serial.isEmpty()) {
      result = result.withCom1(serial.get(0));
    }
    if (serial.size() > 1) {
      result = result.withCom2(serial.get(1));
    }
    return config.debugExitPort().isPresent()
        ? result.withDebugExit(config.debugExitPort().getAsInt())
        : result;
  }

  /**
   * Makes a machine with its kernel loaded.
   *
   * @throws BootException when the kernel cannot be booted
   * @throws OutOfMemoryError when the host refuses the memory
   */
  public static Machine create(MachineConfig config) throws BootException {
    return create(config, memory -> BoardExecutor.live(memory, config.clock(), config.entropy()));
  }

  /**
   * Makes a machine whose run is recorded: everything that enters it from outside, with the number
   * of instructions after which it came. A recorded run ends at a reset.
   *
   * @param config with one processor, which the interpreter runs whatever engine is named: another
   *     may see an interrupt that an access to a device raises at another instruction
   * @param recording closed, and complete, when the machine is closed
   */
  public static Machine record(MachineConfig config, OutputStream recording) throws BootException {
    return create(
        recordable(config),
        memory ->
            BoardExecutor.recording(
                memory, config.clock(), config.entropy(), new EventRecorder(recording)));
  }

  /**
   * Makes a machine that goes the way of a recorded one to its end, where it stops with the same
   * memory and the same state. Its backends are written to, but nothing comes from them.
   *
   * @param config what was given to {@link #record}, with disks of the same size
   * @throws IOException when this is no recording, or is damaged
   */
  public static Machine replay(MachineConfig config, InputStream recording)
      throws BootException, IOException {
    EventReplayer replayer = new EventReplayer(recording);
    return create(recordable(config), memory -> BoardExecutor.replaying(memory, replayer));
  }

  private static MachineConfig recordable(MachineConfig config) {
    return config.withResetEnds(true).withEngine(MachineConfig.Engine.INTERPRET);
  }

  private static Machine create(
      MachineConfig config, Function<GuestMemory, BoardExecutor> executorMaker)
      throws BootException {
    GuestMemory memory = new GuestMemory(config.memoryBytes());
    try {
      Machine machine;
      try {
        machine = new Machine(config, memory, executorMaker.apply(memory));
      } catch (KvmException e) {
        throw new BootException("the engine kvm cannot be used: " + e.getMessage());
      }
      machine.load();
      return machine;
    } catch (BootException | RuntimeException | Error e) {
      memory.close();
      throw e;
    }
  }

  /** Resets everything and puts the kernel into memory. */
  private void load() throws BootException {
    for (VirtualCpu cpu : processors) {
      earlierInstructions[cpu.index()] += cpu.state().instructions;
    }
    board.reset();
    processors.forEach(VirtualCpu::reset);
    VirtualCpu first = processors.getFirst();
    List<MemoryRegion> regions = new ArrayList<>();
    for (PhysicalMemoryMap.Range range : board.memoryMap().ranges()) {
      MemoryRegion.Kind kind =
          switch (range.kind()) {
            case RAM -> MemoryRegion.Kind.USABLE;
            case RESERVED -> MemoryRegion.Kind.RESERVED;
            case ACPI_RECLAIMABLE -> MemoryRegion.Kind.ACPI_RECLAIMABLE;
          };
      regions.add(new MemoryRegion(range.base(), range.sizeBytes(), kind));
    }
    kernel =
        BootLoader.load(
            memory,
            first.state(),
            new BootRequest(
                config.kernel(),
                config.initialRamDisk(),
                config.commandLine(),
                regions,
                PhysicalMemoryMap.ACPI_ROOT_POINTER));
    first.dropCaches();
    first.stateReplaced();
  }

  /**
   * Makes a machine from a file that {@link #save} wrote; {@link #run} goes on where it was saved.
   * The kernel of the configuration is booted at the next reset.
   *
   * @param config what the saved machine was made of; disks must be as they were then
   * @throws StateException when the file does not fit this configuration, or is damaged
   */
  public static Machine restore(MachineConfig config, Path file) throws IOException {
    GuestMemory memory = new GuestMemory(config.memoryBytes());
    try {
      Machine machine =
          new Machine(config, memory, BoardExecutor.live(memory, config.clock(), config.entropy()));
      machine.board.reset();
      // What the board's firmware has written is the saved machine's to decide.
      memory.fill(0, PhysicalMemoryMap.EXTENDED_START, (byte) 0);
      machine.restoreState(MachineImage.read(file, memory));
      return machine;
    } catch (IOException | RuntimeException | Error e) {
      memory.close();
      throw e;
    }
  }

  private void restoreState(StateReader in) {
    int version = in.record("machine", STATE_VERSION);
    long ramBytes = in.getLong();
    int cpus = in.getInt();
    if (ramBytes != config.memoryBytes() || cpus != config.cpus()) {
      throw new StateException(
          "the saved machine has %d bytes of memory and %d processors; this one %d and %d"
              .formatted(ramBytes, cpus, config.memoryBytes(), config.cpus()));
    }
    if (version >= 2) {
      requireFeatures(in.getInt());
    }
    requireShown(version >= 3 ? CpuFeature.ofBits(in.getLong()) : Set.of());
    for (VirtualCpu cpu : processors) {
      cpu.reset();
      CpuStateRecord.restore(cpu.state(), in);
    }
    board.restore(in);
    for (VirtualCpu cpu : processors) {
      ParavirtualProcessor paravirtual = cpu.paravirtual();
      if (paravirtual != null) {
        // The page in the saved memory speaks of the counter of the engine that the guest left.
        paravirtual.timeStampChanged();
      }
      cpu.stateReplaced();
    }
  }

  /** A guest goes on to use what it found. Calls between processors need several of them. */
  private void requireFeatures(int used) {
    int offered = set.model.paravirtualFeatures();
    int needed = config.cpus() > 1 ? used : used & KvmInterface.FEATURES_WITHOUT_CALLS;
    if ((needed & ~offered) != 0) {
      throw new StateException(
          "the saved guest uses paravirtual features (0x%x) that this machine does not offer"
              .formatted(needed & ~offered));
    }
  }

  /** Nor does it look again for features of its processor that it once found. */
  private void requireShown(Set<CpuFeature> withheld) {
    Set<CpuFeature> missing = new TreeSet<>(set.model.withheld());
    missing.removeAll(withheld);
    if (!missing.isEmpty()) {
      throw new StateException(
          "the saved guest found features of its processor that this machine does not have: "
              + missing.stream().map(CpuFeature::title).collect(Collectors.joining(", ")));
    }
  }

  /**
   * Writes memory, processors and devices to a file, whole or not at all. A machine that runs is
   * held at instruction boundaries meanwhile, and its time stands still. From any thread but the
   * machine's own. What lies in backends, as the contents of disks, is not saved.
   */
  public void save(Path file) throws IOException {
    IOException[] failed = new IOException[1];
    executor
        .exclusiveSection()
        .runAtBoundary(() -> {
          boolean runs = executor.clock().running();
          if (runs) {
            board.pause();
          }
          try {
            MachineImage.write(file, state(), memory);
          } catch (IOException e) {
            failed[0] = e;
          } finally {
            if (runs) {
              board.resume();
              processors.forEach(VirtualCpu::timeChanged);
            }
          }
        });
    if (failed[0] != null) {
      throw failed[0];
    }
  }

  private StateWriter state() {
    board.settle();
    StateWriter out = new StateWriter();
    out.record("machine", STATE_VERSION).putLong(config.memoryBytes()).putInt(config.cpus());
    out.putInt(set.model.paravirtualFeatures());
    out.putLong(CpuFeature.bits(set.model.withheld()));
    for (VirtualCpu cpu : processors) {
      cpu.settleSignals();
      CpuStateRecord.save(cpu.state(), out);
    }
    board.save(out);
    return out;
  }

  /** What was recognised in the kernel image. */
  public LoadedKernel kernel() {
    return kernel;
  }

  public GuestMemory memory() {
    return memory;
  }

  public MachineBoard board() {
    return board;
  }

  public List<VirtualCpu> processors() {
    return processors;
  }

  /** The processors, where the engine is one in software; otherwise none. */
  public List<InterpretedCpu> softwareProcessors() {
    return processors.stream()
        .filter(InterpretedCpu.class::isInstance)
        .map(InterpretedCpu.class::cast)
        .toList();
  }

  /** Measures how long the processors are where, which costs a little; before {@link #run}. */
  public void measureTimes() {
    for (int i = 0; i < processors.size(); i++) {
      CpuState state = processors.get(i).state();
      activities.get(i).measure(() -> state.instructions);
      board.exitsOf(i).measureTime();
      processors.get(i).setRingObserver(activities.get(i));
    }
  }

  /** What each processor's thread did; after the run. */
  public List<ProcessorActivity> activities() {
    return List.copyOf(activities);
  }

  /** The translator, where the engine has one. */
  public Optional<Translator> translator() {
    return Optional.ofNullable(set.translator);
  }

  public CodeCache codeCache() {
    return set.codeCache;
  }

  /** Guest instructions retired by all processors, in all boots. */
  public long instructions() {
    long sum = 0;
    for (int cpu = 0; cpu < processors.size(); cpu++) {
      sum += instructions(cpu);
    }
    return sum;
  }

  /**
   * As {@link #instructions}, while the processors run: a little old, and 0 on engines that do not
   * count.
   */
  public long instructionsSoFar() {
    long sum = 0;
    for (InterpretedCpu cpu : softwareProcessors()) {
      sum += earlierInstructions[cpu.index()] + cpu.state.instructions;
    }
    return sum;
  }

  /** Guest instructions retired by one processor, in all boots. */
  public long instructions(int cpu) {
    return earlierInstructions[cpu] + processors.get(cpu).state().instructions;
  }

  /** How often all processors left guest code, by reason. */
  public Map<ExitReason, Long> exits() {
    Map<ExitReason, Long> sums = new EnumMap<>(ExitReason.class);
    for (ExitReason reason : ExitReason.values()) {
      long sum = 0;
      for (int i = 0; i < config.cpus(); i++) {
        sum += board.exitsOf(i).of(reason);
      }
      sums.put(reason, sum);
    }
    return sums;
  }

  /**
   * Runs the guest until it ends. The calling thread waits; processors have threads of their own.
   *
   * @throws MachineFault when the monitor itself fails
   */
  public MachineExit run() throws InterruptedException {
    board.start();
    set.started();
    while (true) {
      MachineExit exit = runOnce();
      if (exit != null) {
        return exit;
      }
      board.pause();
      try {
        load();
      } catch (BootException e) {
        throw new MachineFault("the kernel that booted before does not boot again", e);
      }
      board.resume();
    }
  }

  private @Nullable MachineExit runOnce() throws InterruptedException {
    ending = false;
    request = null;
    List<Thread> started = new ArrayList<>();
    for (ProcessorThread each : threads) {
      started.add(Thread.ofPlatform().name("cpu-" + started.size()).daemon(true).start(each));
    }
    if (boardThread != null) {
      started.add(Thread.ofPlatform().name("board").daemon(true).start(boardThread));
    }
    running = List.copyOf(started);
    for (Thread each : running) {
      each.join();
    }
    Throwable cause = failure;
    if (cause != null) {
      throw new MachineFault(String.valueOf(cause.getMessage()), cause);
    }
    MachineRequest asked = request;
    if (asked == null || stopped) {
      return new MachineExit.Stopped();
    }
    return switch (asked) {
      case MachineRequest.PowerOff off -> new MachineExit.PoweredOff();
      case MachineRequest.DebugExit exit -> new MachineExit.DebugExit(exit.value());
      case MachineRequest.Reset reset ->
          config.resetEnds() ? new MachineExit.Reset(reset.cause()) : null;
    };
  }

  /** Ends the run soon, as if the power failed. From any thread. */
  public void stop() {
    stopped = true;
    endThreads();
  }

  // ---- what processor threads call

  boolean ending() {
    return ending || stopped;
  }

  void end(MachineRequest reason) {
    synchronized (this) {
      if (request == null) {
        request = reason;
      }
    }
    endThreads();
  }

  /** Takes what a device asked for, if anything. */
  void takeRequest() {
    Optional<MachineRequest> asked = executor.takeRequest();
    asked.ifPresent(this::end);
  }

  void failed(Throwable cause) {
    failure = cause;
    endThreads();
  }

  private void endThreads() {
    ending = true;
    processors.forEach(VirtualCpu::kick);
    if (boardThread != null) {
      boardThread.kick();
    }
  }

  private void awaitThreads() {
    boolean interrupted = false;
    for (Thread each : running) {
      while (each.isAlive()) {
        try {
          each.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    // Whoever was interrupted in run may have left the processors behind.
    stop();
    awaitThreads();
    board.stop();
    set.close();
    memory.close();
  }

  /** The monitor failed; the guest is not to blame. */
  public static final class MachineFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    MachineFault(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
