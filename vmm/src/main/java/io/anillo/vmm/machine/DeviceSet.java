package io.anillo.vmm.machine;

/** The virtio devices that a configuration asks for. */
final class DeviceSet {
  private DeviceSet() {}

  static void attach(MachineConfig config, MachineBoard board) {}
}
