package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.CpuSignals;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MessageInterrupts;
import io.anillo.vmm.device.acpi.AcpiPowerManagement;
import io.anillo.vmm.device.acpi.AcpiTables;
import io.anillo.vmm.device.chipset.DebugConsole;
import io.anillo.vmm.device.chipset.DebugExit;
import io.anillo.vmm.device.chipset.KeyboardController;
import io.anillo.vmm.device.chipset.PanicNotice;
import io.anillo.vmm.device.firmware.FirmwareConfiguration;
import io.anillo.vmm.device.firmware.PhysicalMemoryMap;
import io.anillo.vmm.device.interrupt.InterruptFabric;
import io.anillo.vmm.device.interrupt.IntervalTimerLine;
import io.anillo.vmm.device.interrupt.IoApic;
import io.anillo.vmm.device.interrupt.LocalApic;
import io.anillo.vmm.device.interrupt.LocalApicCarrier;
import io.anillo.vmm.device.interrupt.PicPair;
import io.anillo.vmm.device.pci.PciDevice;
import io.anillo.vmm.device.pci.PciHost;
import io.anillo.vmm.device.serial.Uart16550;
import io.anillo.vmm.device.timer.Pit8254;
import io.anillo.vmm.device.timer.RealTimeClock;
import io.anillo.vmm.hypercall.CableSplitter;
import io.anillo.vmm.hypercall.InterprocessorCalls;
import io.anillo.vmm.hypercall.OwnCalls;
import io.anillo.vmm.hypercall.OwnInterface;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * The PC: chipset devices on a {@link BoardExecutor}, wired for some processors.
 *
 * <p>Order of use: construct; {@link #attach} PCI devices; {@link #reset}; load a guest; {@link
 * #start}; run the processors, calling {@link BoardExecutor#runPending} between stretches of guest
 * code; {@link #stop}.
 */
public final class MachineBoard {
  /** Interrupt inputs of the first and second 8259A that PCI's four shared lines lead to. */
  private static final int[] PCI_PIC_INTERRUPTS = {10, 11, 10, 11};

  private static final int STATE_VERSION = 1;

  private final BoardExecutor executor;
  private final PhysicalMemoryMap memoryMap;
  private final BoardConfig config;
  private final InterruptFabric fabric = new InterruptFabric();
  private final PicPair pic;
  private final IoApic ioApic;
  private final PciHost pci;
  private final AcpiPowerManagement acpi;
  private final FirmwareConfiguration firmware;
  private final PanicNotice panic;
  private final List<LocalApic> localApics = new ArrayList<>();
  private final List<ExitCounters> exits = new ArrayList<>();
  private final List<ProcessorActivity> activities = new ArrayList<>();
  private final List<Device> devices = new ArrayList<>();
  private final int[] picUsers = new int[16];
  private OwnCalls ownCalls = OwnCalls.NONE;
  private int nextSlot = 1;

  /**
   * Wires the board.
   *
   * @param signals one for each processor of the configuration
   * @param tscOffsets what each processor adds to the board's clock for its time stamp counter
   */
  public MachineBoard(
      BoardExecutor executor,
      BoardConfig config,
      List<? extends CpuSignals> signals,
      List<? extends LongSupplier> tscOffsets) {
    if (signals.size() != config.cpus() || tscOffsets.size() != config.cpus()) {
      throw new IllegalArgumentException(
          config.cpus() + " processors are configured, but there are signals of " + signals.size());
    }
    if ((executor.recording() || executor.replaying()) && config.cpus() != 1) {
      throw new IllegalArgumentException(
          "only a machine with one processor can be recorded or replayed");
    }
    this.executor = executor;
    this.config = config;
    this.memoryMap = new PhysicalMemoryMap(executor.memory().ramBytes(), config.windows());
    executor.setKick(signals.getFirst()::kick);

    SystemBus bus = executor.systemBus();
    pic = add(new PicPair(bus));
    ioApic = add(new IoApic(bus, fabric));
    for (int cpu = 0; cpu < config.cpus(); cpu++) {
      exits.add(new ExitCounters());
      activities.add(new ProcessorActivity());
      localApics.add(
          add(
              new LocalApic(
                  executor,
                  cpu,
                  fabric,
                  signals.get(cpu),
                  pic,
                  config.physicalBits(),
                  tscOffsets.get(cpu))));
    }
    pic.connect(asserted -> localApics.forEach(apic -> apic.setLint0(asserted)));
    add(new Pit8254(executor, new IntervalTimerLine(pic, ioApic)));
    add(new RealTimeClock(executor, isaLine(8)));
    add(new Uart16550(executor, "com1", Uart16550.COM1, isaLine(4), config.com1()));
    add(new Uart16550(executor, "com2", Uart16550.COM2, isaLine(3), config.com2()));
    add(new KeyboardController(executor, isaLine(1), isaLine(12)));
    add(new DebugConsole(executor, DebugConsole.BOCHS_PORT, config.debugConsole()));
    add(new DebugConsole(executor, DebugConsole.FIRMWARE_PORT, config.debugConsole()));
    panic = add(new PanicNotice(executor, () -> {}));
    firmware = add(new FirmwareConfiguration(executor));
    firmware.setNumber(FirmwareConfiguration.RAM_SIZE, executor.memory().ramBytes(), 8);
    firmware.setNumber(FirmwareConfiguration.CPU_COUNT, config.cpus(), 2);
    firmware.setNumber(FirmwareConfiguration.MAXIMUM_CPUS, config.cpus(), 2);
    firmware.addFile("etc/e820", memoryMap.e820());
    acpi = add(new AcpiPowerManagement(executor, isaLine(AcpiPowerManagement.INTERRUPT)));
    List<InterruptLine> pciLines = new ArrayList<>();
    for (int line = 0; line < PciHost.INTERRUPT_LINES; line++) {
      pciLines.add(pciLine(line));
    }
    pci = add(new PciHost(bus, fabric, pciLines, config.windows()));
    add(pci.bridge());
    // The only device whose place a person chooses: the others have theirs already.
    config.debugExitPort().ifPresent(port -> add(new DebugExit(executor, port)));
  }

  private <D extends Device> D add(D device) {
    devices.add(device);
    return device;
  }

  // ---- wiring
  // -------------------------------------------------------------------------------------------------------

  /** An ISA interrupt, other than 0: to the 8259As and to the same input of the I/O APIC. */
  private InterruptLine isaLine(int number) {
    InterruptLine toPic = pic.line(number);
    InterruptLine toIoApic = ioApic.line(number);
    return asserted -> {
      toPic.set(asserted);
      toIoApic.set(asserted);
    };
  }

  /**
   * A shared PCI line: to its own input of the I/O APIC, and wired-or with another to the 8259As.
   */
  private InterruptLine pciLine(int line) {
    int number = PCI_PIC_INTERRUPTS[line];
    InterruptLine toPic = pic.line(number);
    InterruptLine toIoApic = ioApic.line(16 + line);
    return asserted -> {
      picUsers[number] = asserted ? picUsers[number] | 1 << line : picUsers[number] & ~(1 << line);
      toPic.set(picUsers[number] != 0);
      toIoApic.set(asserted);
    };
  }

  /** Puts a PCI device into the next free slot; before the first reset. */
  public void attach(PciDevice device) {
    pci.attach(nextSlot++, device);
    add(device);
  }

  /** Adds a device that maps itself on the bus; before the first reset. */
  public void addDevice(Device device) {
    add(device);
  }

  // ---- what loaders and processors use
  // ------------------------------------------------------------------------------

  public BoardExecutor executor() {
    return executor;
  }

  public BoardConfig config() {
    return config;
  }

  public PhysicalMemoryMap memoryMap() {
    return memoryMap;
  }

  public FirmwareConfiguration firmware() {
    return firmware;
  }

  /** Whether the guest has told that its kernel panicked. From any thread. */
  public boolean guestPanicked() {
    return (panic.events() & PanicNotice.PANICKED) != 0;
  }

  public AcpiPowerManagement acpi() {
    return acpi;
  }

  public MessageInterrupts messageInterrupts() {
    return fabric;
  }

  public List<Device> devices() {
    return List.copyOf(devices);
  }

  public LocalApic localApic(int cpu) {
    return localApics.get(cpu);
  }

  /** Has others do what local APICs do; before the first reset. */
  void carryLocalApics(LocalApicCarrier carrier) {
    fabric.setCarrier(carrier);
  }

  /** The bus for a processor's accesses: with its own local APIC. */
  public Bus busOf(int cpu) {
    return new ProcessorBus(
        executor.systemBus(),
        executor.lock(),
        localApics.get(cpu),
        exits.get(cpu),
        activities.get(cpu));
  }

  /** Where a processor's thread spends its time. */
  ProcessorActivity activityOf(int cpu) {
    return activities.get(cpu);
  }

  /** What a processor left guest code for. */
  public ExitCounters exitsOf(int cpu) {
    return exits.get(cpu);
  }

  /** A processor's local APIC, locked as its thread needs it. */
  public LocalInterrupts interruptsOf(int cpu) {
    return new ProcessorInterrupts(executor.lock(), localApics.get(cpu), exits.get(cpu));
  }

  /**
   * Offers our own calls to guests; before {@link #paravirtualOf}, and the first reset.
   *
   * @param signals of all processors
   */
  void offerCalls(
      List<? extends CpuSignals> signals, List<BlockBackend> disks, Optional<CableSplitter> cable) {
    OwnInterface own =
        add(
            new OwnInterface(
                executor, config.com1(), disks, cable, () -> signals.forEach(CpuSignals::wake)));
    ownCalls =
        (function, first, second, third) -> {
          executor.lock().acquire();
          try {
            return own.call(function, first, second, third);
          } finally {
            executor.lock().release();
          }
        };
  }

  /**
   * The paravirtual interface of a processor.
   *
   * @param signals of all processors
   */
  public ParavirtualProcessor paravirtualOf(
      int cpu, CpuState state, long tscHertz, List<? extends CpuSignals> signals) {
    InterprocessorCalls others = new BoardInterprocessorCalls(executor.lock(), fabric, signals);
    return new ParavirtualProcessor(state, executor, interruptsOf(cpu), others, ownCalls, tscHertz);
  }

  /** The ACPI tables that describe this board. */
  public AcpiTables acpiTables() {
    return new AcpiTables(config.cpus(), config.windows(), PCI_PIC_INTERRUPTS, true);
  }

  // ---- life cycle; all with the processors stopped
  // ------------------------------------------------------------------

  /**
   * Resets all devices and does what firmware does: places PCI regions, writes the ACPI tables,
   * sets triggers.
   */
  public void reset() {
    executor.lock().acquire();
    try {
      devices.forEach(Device::reset);
      pci.assignResources(PCI_PIC_INTERRUPTS);
      // PCI and ACPI interrupts are level-triggered at the 8259As: 9, 10 and 11.
      executor.systemBus().writePort(0x4D1, 1, 0x0E);
      acpiTables().writeTo(executor.memory());
    } finally {
      executor.lock().release();
    }
  }

  /** Lets time run, and backends deliver. */
  public void start() {
    executor.lock().acquire();
    try {
      devices.forEach(Device::start);
      executor.startTime();
    } finally {
      executor.lock().release();
    }
  }

  /** Stops time and waits for what is under way outside. */
  public void pause() {
    executor.quiesce();
    executor.lock().acquire();
    try {
      executor.pauseTime();
      devices.forEach(Device::pause);
    } finally {
      executor.lock().release();
    }
    executor.quiesce();
  }

  public void resume() {
    executor.lock().acquire();
    try {
      devices.forEach(Device::resume);
      executor.startTime();
    } finally {
      executor.lock().release();
    }
  }

  /** Ends the board: stops the devices, which release their backends, and the timer thread. */
  public void stop() {
    executor.lock().acquire();
    try {
      devices.forEach(Device::stop);
    } finally {
      executor.lock().release();
    }
    executor.close();
  }

  /** Waits until all interrupts are where their state is read from. Before a machine is saved. */
  void settle() {
    executor.lock().acquire();
    try {
      fabric.settle();
    } finally {
      executor.lock().release();
    }
  }

  /** Writes the virtual time and the state of all devices. Only while paused. */
  public void save(StateWriter out) {
    executor.lock().acquire();
    try {
      out.record("board", STATE_VERSION).putLong(executor.clock().nanos()).putInt(devices.size());
      for (Device device : devices) {
        StateWriter record = new StateWriter();
        device.save(record);
        out.putString(device.name()).putBytes(record.toByteArray());
      }
    } finally {
      executor.lock().release();
    }
  }

  /**
   * Takes back what {@link #save} wrote, on a board of the same configuration that was reset and
   * not started.
   */
  public void restore(StateReader in) {
    executor.lock().acquire();
    try {
      in.record("board", STATE_VERSION);
      executor.clock().set(in.getLong());
      Map<String, Device> byName =
          devices.stream().collect(Collectors.toMap(Device::name, device -> device));
      int count = in.getInt();
      if (count != devices.size()) {
        throw new StateException(
            "the state holds " + count + " devices; this machine has " + devices.size());
      }
      for (int i = 0; i < count; i++) {
        String name = in.getString();
        Device device = byName.get(name);
        if (device == null) {
          throw new StateException("this machine has no device '" + name + "'");
        }
        device.restore(new StateReader(in.getBytes()));
      }
    } finally {
      executor.lock().release();
    }
  }
}
