package io.anillo.vmm.machine;

import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.device.virtio.VirtioPciFunction;
import io.anillo.vmm.device.virtio.balloon.VirtioBalloonDevice;
import io.anillo.vmm.device.virtio.block.VirtioBlockConfig;
import io.anillo.vmm.device.virtio.block.VirtioBlockDevice;
import io.anillo.vmm.device.virtio.console.VirtioConsoleDevice;
import io.anillo.vmm.device.virtio.entropy.VirtioEntropyDevice;
import io.anillo.vmm.device.virtio.network.VirtioNetworkConfig;
import io.anillo.vmm.device.virtio.network.VirtioNetworkDevice;

/** The virtio devices that a configuration asks for: disks first, so that they keep their slots. */
final class DeviceSet {
  /** 52:54:00 is the prefix that virtual machines use for addresses of their own making. */
  private static final long FIRST_MAC = 0x5254_0012_3456L;

  private final MachineBoard board;

  private DeviceSet(MachineBoard board) {
    this.board = board;
  }

  static void attach(MachineConfig config, MachineBoard board) {
    DeviceSet set = new DeviceSet(board);
    BoardExecutor executor = board.executor();
    for (int i = 0; i < config.disks().size(); i++) {
      set.add(
          new VirtioBlockDevice(
              VirtioBlockConfig.of("disk" + i, "anillo-disk" + i),
              config.disks().get(i),
              executor));
    }
    for (int i = 0; i < config.networks().size(); i++) {
      set.add(
          new VirtioNetworkDevice(
              VirtioNetworkConfig.of(
                  "net" + i,
                  config.networks().get(i).cardAddress().orElse(FIRST_MAC + i),
                  config.cpus()),
              config.networks().get(i),
              executor));
    }
    config
        .console()
        .forEach(backend -> set.add(new VirtioConsoleDevice("console0", backend, executor)));
    set.add(new VirtioEntropyDevice("rng0", executor));
    set.add(new VirtioBalloonDevice("balloon0", executor.memory()::release, executor));
  }

  private void add(VirtioDevice device) {
    board.attach(new VirtioPciFunction(device));
  }
}
