package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.EntropySource;
import io.anillo.vmm.port.NetworkBackend;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Consumer;

/**
 * What a machine is made of; checked on construction.
 *
 * @param cpus number of processors, 1 to {@value #MAXIMUM_CPUS}
 * @param memoryBytes size of RAM: a multiple of 1 MiB, at least {@value #MINIMUM_MEMORY} bytes
 * @param kernel a kernel image in a format that {@code BootLoader} knows
 * @param initialRamDisk the initial RAM disk, empty for none
 * @param serial what COM1 and COM2 are connected to; a line that is not given leads nowhere
 * @param disks virtio block devices, in order
 * @param networks virtio network devices, in order
 * @param console what a virtio console is connected to; empty for no such device
 * @param debugExitPort the port of isa-debug-exit, if there is one
 * @param resetEnds whether a reset by the guest ends the run instead of booting again
 * @param paravirtual whether a guest that looks for it finds the paravirtual interface
 * @param withheldFeatures features of the processor that the guest does not find, so that the
 *     machine can go on where they are missing
 */
public record MachineConfig(
    int cpus,
    long memoryBytes,
    Engine engine,
    ByteBuffer kernel,
    ByteBuffer initialRamDisk,
    String commandLine,
    List<CharBackend> serial,
    List<BlockBackend> disks,
    List<NetworkBackend> networks,
    List<CharBackend> console,
    OptionalInt debugExitPort,
    boolean resetEnds,
    Clock clock,
    EntropySource entropy,
    boolean paravirtual,
    Set<CpuFeature> withheldFeatures) {
  public static final int MAXIMUM_CPUS = 64;
  public static final long MINIMUM_MEMORY = 4L << 20;
  private static final long MEBIBYTE = 1L << 20;
  private static final long MAXIMUM_MEMORY = 1L << CpuModel.PHYSICAL_ADDRESS_BITS - 1;

  /** How guest instructions are carried out. */
  public enum Engine {
    INTERPRET,
    /** Binary translation: hot code to JVM bytecode, the rest interpreted. */
    TRANSLATE,
    /** Binary translation of all code before it runs for the first time: slow, for tests. */
    TRANSLATE_EVERYTHING,
    /** The hardware, through KVM. */
    KVM,
    /** Likewise, with local APICs in the host's kernel instead of the board's own. */
    KVM_LOCAL_APICS
  }

  public MachineConfig {
    if (cpus < 1 || cpus > MAXIMUM_CPUS) {
      throw new IllegalArgumentException(
          cpus + " processors: 1 to " + MAXIMUM_CPUS + " are possible");
    }
    if (memoryBytes < MINIMUM_MEMORY || memoryBytes % MEBIBYTE != 0) {
      throw new IllegalArgumentException(
          memoryBytes + " bytes of memory: a multiple of 1 MiB is needed, at least 4 MiB");
    }
    if (memoryBytes > MAXIMUM_MEMORY) {
      throw new IllegalArgumentException(
          memoryBytes + " bytes of memory: the processor reaches " + MAXIMUM_MEMORY);
    }
    if (serial.size() > 2) {
      throw new IllegalArgumentException("there are two serial lines, not " + serial.size());
    }
    if (console.size() > 1) {
      throw new IllegalArgumentException("there is one virtio console, not " + console.size());
    }
    serial = List.copyOf(serial);
    disks = List.copyOf(disks);
    networks = List.copyOf(networks);
    console = List.copyOf(console);
    withheldFeatures = Set.copyOf(withheldFeatures);
  }

  /** A machine with one processor, nothing connected, that ends at a reset. */
  public static MachineConfig of(
      long memoryBytes, ByteBuffer kernel, ByteBuffer initialRamDisk, String commandLine) {
    return new MachineConfig(
        1,
        memoryBytes,
        Engine.INTERPRET,
        kernel,
        initialRamDisk,
        commandLine,
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        OptionalInt.empty(),
        true,
        Clock.system(),
        EntropySource.system(),
        true,
        Set.of());
  }

  public MachineConfig withCpus(int count) {
    return with(draft -> draft.cpus = count);
  }

  public MachineConfig withCommandLine(String other) {
    return with(draft -> draft.commandLine = other);
  }

  public MachineConfig withEngine(Engine other) {
    return with(draft -> draft.engine = other);
  }

  public MachineConfig withSerial(List<CharBackend> lines) {
    return with(draft -> draft.serial = lines);
  }

  public MachineConfig withDisks(List<BlockBackend> backends) {
    return with(draft -> draft.disks = backends);
  }

  public MachineConfig withNetworks(List<NetworkBackend> backends) {
    return with(draft -> draft.networks = backends);
  }

  public MachineConfig withDebugExit(int port) {
    return with(draft -> draft.debugExitPort = OptionalInt.of(port));
  }

  public MachineConfig withClock(Clock other) {
    return with(draft -> draft.clock = other);
  }

  public MachineConfig withParavirtual(boolean offered) {
    return with(draft -> draft.paravirtual = offered);
  }

  public MachineConfig withoutFeatures(Set<CpuFeature> features) {
    return with(draft -> draft.withheldFeatures = features);
  }

  public MachineConfig withResetEnds(boolean ends) {
    return with(draft -> draft.resetEnds = ends);
  }

  private MachineConfig with(Consumer<Draft> change) {
    Draft draft = new Draft(this);
    change.accept(draft);
    return draft.config();
  }

  /** A configuration that is being changed. */
  private static final class Draft {
    int cpus;
    long memoryBytes;
    Engine engine;
    ByteBuffer kernel;
    ByteBuffer initialRamDisk;
    String commandLine;
    List<CharBackend> serial;
    List<BlockBackend> disks;
    List<NetworkBackend> networks;
    List<CharBackend> console;
    OptionalInt debugExitPort;
    boolean resetEnds;
    Clock clock;
    EntropySource entropy;
    boolean paravirtual;
    Set<CpuFeature> withheldFeatures;

    Draft(MachineConfig from) {
      cpus = from.cpus;
      memoryBytes = from.memoryBytes;
      engine = from.engine;
      kernel = from.kernel;
      initialRamDisk = from.initialRamDisk;
      commandLine = from.commandLine;
      serial = from.serial;
      disks = from.disks;
      networks = from.networks;
      console = from.console;
      debugExitPort = from.debugExitPort;
      resetEnds = from.resetEnds;
      clock = from.clock;
      entropy = from.entropy;
      paravirtual = from.paravirtual;
      withheldFeatures = from.withheldFeatures;
    }

    MachineConfig config() {
      return new MachineConfig(
          cpus,
          memoryBytes,
          engine,
          kernel,
          initialRamDisk,
          commandLine,
          serial,
          disks,
          networks,
          console,
          debugExitPort,
          resetEnds,
          clock,
          entropy,
          paravirtual,
          withheldFeatures);
    }
  }
}
