package io.anillo.cli;

import io.anillo.network.NetworkChoice;
import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.device.BusConflictException;
import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.EntropySource;
import io.anillo.vmm.port.NetworkBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Machines of the virtual machine monitor, in this process. */
final class VmmMachineFactory implements GuestMachine.Factory {
  private static final int SECTOR_BYTES = 512;

  @Override
  public GuestMachine create(MachinePlan plan) throws CommandException {
    ByteBuffer kernel = map("--kernel", plan.kernel());
    ByteBuffer initialRamDisk =
        plan.initialRamDisk().isPresent()
            ? map("--initrd", plan.initialRamDisk().get())
            : ByteBuffer.allocate(0);
    List<BlockBackend> disks = new ArrayList<>();
    List<NetworkBackend> networks = new ArrayList<>();
    boolean complete = false;
    try {
      for (String network : plan.networks()) {
        networks.add(open(network));
      }
      if (networks.isEmpty()) {
        networks.add(new EchoNetwork());
      }
      MachineDisks opener = new MachineDisks();
      for (DiskOption disk : plan.disks()) {
        disks.add(open(opener, disk));
      }
      MachineConfig config = config(plan, kernel, initialRamDisk, disks, networks);
      Machine made = Machine.create(config);
      if (plan.measured()) {
        made.measureTimes();
      }
      LearnedCode learned = LearnedCode.of(kernel);
      made.translator().ifPresent(learned::bringTo);
      VmmGuestMachine machine = new VmmGuestMachine(made, config.engine(), disks, learned);
      complete = true;
      return machine;
    } catch (BootException e) {
      throw notStarted(e.sentence() + ".");
    } catch (BusConflictException e) {
      throw notStarted("the machine cannot be made: " + e.getMessage() + ".");
    } catch (OutOfMemoryError e) {
      throw notStarted(
          "the host does not give the "
              + (plan.memoryBytes() >> 20)
              + "M of memory that the machine needs.");
    } finally {
      if (!complete) {
        VmmGuestMachine.close(disks);
        networks.forEach(NetworkBackend::close);
      }
    }
  }

  private static NetworkBackend open(String network) throws CommandException {
    try {
      return NetworkChoice.open(network);
    } catch (IOException | IllegalArgumentException e) {
      throw notStarted("--network " + network + " cannot be used: " + e.getMessage() + ".");
    }
  }

  private static MachineConfig config(
      MachinePlan plan,
      ByteBuffer kernel,
      ByteBuffer initialRamDisk,
      List<BlockBackend> disks,
      List<NetworkBackend> networks)
      throws CommandException {
    try {
      return new MachineConfig(
          plan.cpus(),
          plan.memoryBytes(),
          EngineChoice.of(plan.engine(), System.err),
          kernel,
          initialRamDisk,
          plan.commandLine(),
          plan.serial(),
          disks,
          networks,
          List.of(),
          plan.debugExitPort(),
          plan.noReboot(),
          Clock.system(),
          EntropySource.system(),
          plan.paravirtual(),
          Set.of());
    } catch (IllegalArgumentException e) {
      throw notStarted("the machine cannot be made: " + e.getMessage() + ".");
    }
  }

  private static BlockBackend open(MachineDisks opener, DiskOption disk) throws CommandException {
    try {
      BlockBackend backend = opener.open(disk);
      long size = backend.sizeBytes();
      if (size == 0 || size % SECTOR_BYTES != 0) {
        backend.close();
        throw notStarted(
            "--disk %s cannot be used: it has %d bytes, and a disk needs a multiple of %d."
                .formatted(disk.location(), size, SECTOR_BYTES));
      }
      return backend;
    } catch (IOException e) {
      throw notStarted("--disk " + disk.location() + " cannot be used: " + e.getMessage() + ".");
    }
  }

  private static ByteBuffer map(String option, Path file) throws CommandException {
    try (FileChannel channel = FileChannel.open(file)) {
      if (channel.size() > Integer.MAX_VALUE) {
        throw notStarted(option + " " + file + " cannot be used: it is larger than 2 GiB.");
      }
      return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
    } catch (IOException e) {
      throw notStarted(option + " " + file + " cannot be read: " + e.getMessage() + ".");
    }
  }

  private static CommandException notStarted(String message) {
    return new CommandException(ExitStatus.NOT_STARTED, message);
  }
}
