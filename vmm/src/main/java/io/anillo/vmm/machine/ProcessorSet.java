package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuSignals;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.device.interrupt.LocalApicCarrier;
import io.anillo.vmm.hypercall.CableSplitter;
import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.kvm.KvmCpu;
import io.anillo.vmm.kvm.KvmDoorbells;
import io.anillo.vmm.kvm.KvmException;
import io.anillo.vmm.kvm.KvmProbe;
import io.anillo.vmm.kvm.KvmVirtualMachine;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import io.anillo.vmm.x86.translate.Translator;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** A machine's processors on the engine that its configuration names, and what they share. */
final class ProcessorSet implements AutoCloseable {
  final List<VirtualCpu> processors = new ArrayList<>();
  final MachineBoard board;
  final CodeCache codeCache;
  final @Nullable Translator translator;
  final CpuModel model;
  private final @Nullable KvmVirtualMachine hardware;
  private final @Nullable KvmDoorbells doorbells;
  private final Optional<CableSplitter> cable;

  /** The board has to know whom to signal before processors on it can be made. */
  private static final class Relay implements CpuSignals {
    private volatile @Nullable VirtualCpu target;

    @Override
    public void kick() {
      VirtualCpu cpu = target;
      if (cpu != null) {
        cpu.kick();
      }
    }

    @Override
    public void nmi() {
      VirtualCpu cpu = target;
      if (cpu != null) {
        cpu.nmi();
      }
    }

    @Override
    public void wake() {
      VirtualCpu cpu = target;
      if (cpu != null) {
        cpu.wake();
      }
    }

    @Override
    public void init() {
      VirtualCpu cpu = target;
      if (cpu != null) {
        cpu.init();
      }
    }

    @Override
    public void startup(int vector) {
      VirtualCpu cpu = target;
      if (cpu != null) {
        cpu.startup(vector);
      }
    }
  }

  /**
   * Makes the processors and the board they are on.
   *
   * @throws KvmException when the engine is {@code KVM} and it cannot be used
   */
  ProcessorSet(
      MachineConfig config, BoardConfig boardConfig, GuestMemory memory, BoardExecutor executor)
      throws KvmException {
    codeCache = new CodeCache(memory, config.cpus());
    cable = config.networks().stream().findFirst().map(ProcessorSet::splitter);
    switch (config.engine()) {
      case INTERPRET, TRANSLATE, TRANSLATE_EVERYTHING -> {
        hardware = null;
        doorbells = null;
        translator =
            switch (config.engine()) {
              case TRANSLATE -> Translator.background(memory, codeCache, config.cpus());
              case TRANSLATE_EVERYTHING -> Translator.immediate(memory, codeCache, config.cpus());
              case INTERPRET, KVM, KVM_LOCAL_APICS -> null;
            };
        model =
            CpuModel.anilloV2(config.cpus())
                .withParavirtual(config.paravirtual() ? KvmInterface.FEATURES : 0)
                .without(config.withheldFeatures());
        board = inSoftware(config, boardConfig, memory, executor);
      }
      case KVM, KVM_LOCAL_APICS -> {
        translator = null;
        KvmVirtualMachine kvm = KvmVirtualMachine.open(memory);
        hardware = kvm;
        boolean carried = config.engine() == MachineConfig.Engine.KVM_LOCAL_APICS;
        LocalApicCarrier carrier = carried ? kvm.carryLocalApics() : null;
        doorbells = carried ? listen(kvm, executor) : null;
        // KVM itself answers VMCALL: what needs calls is offered where it has the local APICs, and
        // several processors are seen to be able to make them.
        boolean calls =
            carried && config.paravirtual() && (config.cpus() == 1 || KvmProbe.answersCalls());
        int features = calls ? KvmInterface.FEATURES : KvmInterface.FEATURES_WITHOUT_CALLS;
        CpuModel wanted =
            CpuModel.anilloV2(config.cpus())
                .withParavirtual(config.paravirtual() ? features : 0)
                .without(config.withheldFeatures());
        model = KvmCpu.modelFor(wanted, kvm);
        board = onHardware(config, boardConfig, executor, kvm, carrier);
      }
      default -> throw new AssertionError(config.engine());
    }
  }

  private static KvmDoorbells listen(KvmVirtualMachine kvm, BoardExecutor executor)
      throws KvmException {
    BoardLock lock = executor.lock();
    KvmDoorbells made =
        kvm.hearDoorbells(action -> {
          lock.acquire();
          try {
            action.run();
          } finally {
            lock.release();
          }
        });
    executor.systemBus().setDoorbells(made);
    return made;
  }

  /** The machine starts, or goes on after it was restored. */
  void started() {
    if (doorbells != null) {
      doorbells.ring();
    }
  }

  /** The first network's cable, where two can listen. */
  private static CableSplitter splitter(NetworkBackend network) {
    return network instanceof CableSplitter made ? made : new CableSplitter(network);
  }

  private MachineBoard inSoftware(
      MachineConfig config, BoardConfig boardConfig, GuestMemory memory, BoardExecutor executor) {
    List<InterpretedCpu> made = new ArrayList<>();
    List<LongSupplier> tscOffsets = new ArrayList<>();
    for (int i = 0; i < config.cpus(); i++) {
      var cpu =
          new InterpretedCpu(
              i,
              memory,
              executor.systemBus(),
              codeCache,
              model,
              executor::nowNanos,
              executor.entropy());
      made.add(cpu);
      tscOffsets.add(() -> cpu.state.tscOffset);
    }
    MachineBoard wired = new MachineBoard(executor, boardConfig, made, tscOffsets);
    executor.setInstructionCounter(() -> made.getFirst().state.instructions);
    if (config.paravirtual()) {
      wired.offerCalls(made, config.disks(), cable);
    }
    for (int i = 0; i < config.cpus(); i++) {
      InterpretedCpu cpu = made.get(i);
      cpu.connect(wired.busOf(i), wired.interruptsOf(i));
      cpu.exits = wired.exitsOf(i);
      cpu.setExclusiveSection(executor.exclusiveSection()::run);
      if (translator != null) {
        cpu.setHotCode(translator, translator.threshold());
      }
      if (config.paravirtual()) {
        cpu.paravirtual = wired.paravirtualOf(i, cpu.state, model.tscHertz(), made);
      }
    }
    processors.addAll(made);
    return wired;
  }

  private MachineBoard onHardware(
      MachineConfig config,
      BoardConfig boardConfig,
      BoardExecutor executor,
      KvmVirtualMachine kvm,
      @Nullable LocalApicCarrier carrier)
      throws KvmException {
    List<Relay> relays = new ArrayList<>();
    List<CpuState> states = new ArrayList<>();
    List<LongSupplier> tscOffsets = new ArrayList<>();
    for (int i = 0; i < config.cpus(); i++) {
      int number = i;
      relays.add(new Relay());
      tscOffsets.add(() -> states.isEmpty() ? 0 : states.get(number).tscOffset);
    }
    MachineBoard wired = new MachineBoard(executor, boardConfig, relays, tscOffsets);
    if (carrier != null) {
      wired.carryLocalApics(carrier);
    }
    if (config.paravirtual()) {
      wired.offerCalls(relays, config.disks(), cable);
    }
    List<KvmCpu> made = new ArrayList<>();
    for (int i = 0; i < config.cpus(); i++) {
      made.add(
          new KvmCpu(
              i,
              kvm,
              model,
              executor::nowNanos,
              wired.busOf(i),
              wired.interruptsOf(i),
              wired.exitsOf(i)));
    }
    for (int i = 0; i < config.cpus(); i++) {
      KvmCpu cpu = made.get(i);
      if (config.paravirtual()) {
        cpu.setParavirtual(wired.paravirtualOf(i, cpu.state(), model.tscHertz(), made));
      }
      relays.get(i).target = cpu;
      states.add(cpu.state());
    }
    processors.addAll(made);
    return wired;
  }

  @Override
  public void close() {
    if (translator != null) {
      translator.close();
    }
    if (doorbells != null) {
      doorbells.close();
    }
    for (VirtualCpu cpu : processors) {
      if (cpu instanceof KvmCpu kvm) {
        kvm.close();
      }
    }
    if (hardware != null) {
      hardware.close();
    }
  }
}
