package io.anillo.vmm.machine;

import io.anillo.vmm.device.chipset.DebugExit;
import io.anillo.vmm.device.pci.PciWindows;
import io.anillo.vmm.port.CharBackend;
import java.util.OptionalInt;

/**
 * What a board is made of.
 *
 * @param cpus number of processors, 1 to 254
 * @param physicalBits width of guest-physical addresses as the processors announce it; at least 40
 *     for the standard PCI windows
 * @param com1 what COM1 is connected to
 * @param com2 what COM2 is connected to
 * @param debugConsole where ports 0xE9 and 0x402 lead
 * @param debugExitPort the port of isa-debug-exit, if there is one
 */
public record BoardConfig(
    int cpus,
    int physicalBits,
    PciWindows windows,
    CharBackend com1,
    CharBackend com2,
    CharBackend debugConsole,
    OptionalInt debugExitPort) {

  public BoardConfig {
    if (cpus < 1 || cpus > 254) {
      throw new IllegalArgumentException(cpus + " processors: 1 to 254 are possible");
    }
    if (physicalBits < 36 || physicalBits > 52) {
      throw new IllegalArgumentException(
          physicalBits + " bits of physical address: 36 to 52 are possible");
    }
    if (debugExitPort.isPresent()
        && (debugExitPort.getAsInt() < 0 || debugExitPort.getAsInt() > 0xFFFC)) {
      throw new IllegalArgumentException(
          "port " + debugExitPort.getAsInt() + " cannot be that of debug-exit");
    }
  }

  /** A board with nothing connected to its lines. */
  public static BoardConfig of(int cpus) {
    return new BoardConfig(
        cpus,
        40,
        PciWindows.STANDARD,
        new NullCharBackend(),
        new NullCharBackend(),
        new NullCharBackend(),
        OptionalInt.empty());
  }

  public BoardConfig withCom1(CharBackend backend) {
    return new BoardConfig(cpus, physicalBits, windows, backend, com2, debugConsole, debugExitPort);
  }

  public BoardConfig withCom2(CharBackend backend) {
    return new BoardConfig(cpus, physicalBits, windows, com1, backend, debugConsole, debugExitPort);
  }

  public BoardConfig withDebugConsole(CharBackend backend) {
    return new BoardConfig(cpus, physicalBits, windows, com1, com2, backend, debugExitPort);
  }

  /** Adds isa-debug-exit; {@link DebugExit#DEFAULT_PORT} is customary. */
  public BoardConfig withDebugExit(int port) {
    return new BoardConfig(
        cpus, physicalBits, windows, com1, com2, debugConsole, OptionalInt.of(port));
  }
}
