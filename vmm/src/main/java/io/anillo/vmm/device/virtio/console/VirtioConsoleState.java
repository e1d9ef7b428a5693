package io.anillo.vmm.device.virtio.console;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * What a console remembers beyond its queues.
 *
 * @param columns the terminal's width
 * @param rows the terminal's height
 * @param input what arrived and the guest has not read
 */
record VirtioConsoleState(int columns, int rows, byte[] input) {

  void write(String name, StateWriter out) {
    out.record(name + "/console", 1).putInt(columns).putInt(rows).putBytes(input);
  }

  static VirtioConsoleState read(String name, StateReader in) {
    in.record(name + "/console", 1);
    return new VirtioConsoleState(in.getInt() & 0xFFFF, in.getInt() & 0xFFFF, in.getBytes());
  }
}
