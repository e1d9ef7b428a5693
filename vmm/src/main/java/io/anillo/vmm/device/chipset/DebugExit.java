package io.anillo.vmm.device.chipset;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * isa-debug-exit: a guest's write of a value ends the machine with it. Four ports from a
 * configurable one.
 */
public final class DebugExit implements Device, PortDevice {
  public static final int DEFAULT_PORT = 0xF4;
  private static final int STATE_VERSION = 1;

  private final Board board;

  public DebugExit(Board board, int port) {
    this.board = board;
    board.bus().mapPorts(port, 4, this);
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return 0;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    board.request(new MachineRequest.DebugExit(value));
  }

  @Override
  public String name() {
    return "debug-exit";
  }

  @Override
  public void reset() {}

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
  }
}
