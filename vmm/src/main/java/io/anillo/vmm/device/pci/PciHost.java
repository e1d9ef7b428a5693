package io.anillo.vmm.device.pci;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MessageInterrupts;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The PCI host: bus 0 with up to 32 single-function devices, reached through configuration
 * mechanism 1 (ports 0xCF8 and 0xCFC, PCI Local Bus 3.0 §3.2.2.3.2) and a memory-mapped window (PCI
 * Firmware 3.0 §4). Slot 0 is the host bridge.
 *
 * <p>The INTA pins of the slots are spread over four shared lines, {@code slot & 3}, wired-or.
 */
public final class PciHost implements Device {
  public static final int SLOTS = 32;
  public static final int INTERRUPT_LINES = 4;
  public static final int CONFIG_ADDRESS = 0xCF8;
  private static final int STATE_VERSION = 1;

  private final Bus bus;
  private final MessageInterrupts messages;
  private final List<InterruptLine> lines;
  private final PciWindows windows;
  private final @Nullable PciDevice[] slots = new @Nullable PciDevice[SLOTS];
  private final int[] lineUsers = new int[INTERRUPT_LINES];
  private int address;

  /**
   * Makes the host and its bridge and maps their registers.
   *
   * @param lines where the four shared interrupt lines lead
   */
  public PciHost(
      Bus bus, MessageInterrupts messages, List<InterruptLine> lines, PciWindows windows) {
    if (lines.size() != INTERRUPT_LINES) {
      throw new IllegalArgumentException(lines.size() + " PCI interrupt lines; 4 are needed");
    }
    this.bus = bus;
    this.messages = messages;
    this.lines = List.copyOf(lines);
    this.windows = windows;
    // Port 0xCF9, inside the address register's double word, is the chipset's reset register and
    // not ours.
    ConfigPorts ports = new ConfigPorts();
    bus.mapPorts(CONFIG_ADDRESS, 1, ports);
    bus.mapPorts(CONFIG_ADDRESS + 4, 4, ports);
    bus.mapMmio(windows.ecamBase(), PciWindows.ECAM_BYTES, new ConfigWindow());
    attach(0, new HostBridge());
  }

  /** The shared line, 0 to 3, that a slot's INTA pin leads to. */
  public static int interruptLineOf(int slot) {
    return slot & 3;
  }

  /** Puts a device into a free slot, 1 to 31. */
  public void attach(int slot, PciDevice device) {
    if (slot < 0 || slot >= SLOTS || slots[slot] != null) {
      throw new IllegalArgumentException("PCI slot " + slot + " is taken or does not exist");
    }
    slots[slot] = device;
    device.attach(asserted -> setLine(slot, asserted), messages, this::remap);
  }

  private void setLine(int slot, boolean asserted) {
    int line = interruptLineOf(slot);
    int users = asserted ? lineUsers[line] | 1 << slot : lineUsers[line] & ~(1 << slot);
    lineUsers[line] = users;
    lines.get(line).set(users != 0);
  }

  /**
   * Places every region anew. What is mapped is a function of the registers alone, slot by slot, so
   * that a restored machine has the map of the saved one even where a guest made regions collide.
   */
  private void remap() {
    for (PciDevice device : slots) {
      if (device != null) {
        for (PciBar bar : device.bars()) {
          bar.unmap(bus);
        }
      }
    }
    for (PciDevice device : slots) {
      if (device != null) {
        for (PciBar bar : device.bars()) {
          bar.map(bus, device.configuration());
        }
      }
    }
  }

  /**
   * Gives every BAR an address and switches decoding on, as firmware does before it starts an
   * operating system. To be called after the devices were reset.
   *
   * @param interruptNumbers the ISA interrupt to be noted for each of the four shared lines
   */
  public void assignResources(int... interruptNumbers) {
    long memory = windows.memoryBase();
    int ports = windows.portBase();
    for (int slot = 0; slot < SLOTS; slot++) {
      PciDevice device = slots[slot];
      if (device == null) {
        continue;
      }
      int command = 0;
      for (PciBar bar : device.bars()) {
        if (bar.kind == PciBar.Kind.IO) {
          int base = ports + (int) bar.sizeBytes - 1 & -(int) bar.sizeBytes;
          ports = base + (int) bar.sizeBytes;
          bar.setBase(device.configuration(), base);
          command |= PciConfigSpace.COMMAND_IO;
        } else {
          long base = memory + bar.sizeBytes - 1 & -bar.sizeBytes;
          if (base + bar.sizeBytes > windows.memoryBase() + windows.memoryBytes()) {
            continue; // left for the operating system, which may use the window above 4 GiB
          }
          memory = base + bar.sizeBytes;
          bar.setBase(device.configuration(), base);
          command |= PciConfigSpace.COMMAND_MEMORY;
        }
      }
      device.configuration().set(PciConfigSpace.COMMAND, 2, command);
      if (device.configuration().getByte(PciConfigSpace.INTERRUPT_PIN) != 0) {
        device
            .configuration()
            .set(PciConfigSpace.INTERRUPT_LINE, 1, interruptNumbers[interruptLineOf(slot)]);
      }
    }
    remap();
  }

  private int readConfig(int slotAndFunction, int offset, int sizeBytes) {
    PciDevice device = (slotAndFunction & 7) == 0 ? slots[slotAndFunction >> 3 & 31] : null;
    return device == null ? -1 : device.readConfig(offset, sizeBytes);
  }

  private void writeConfig(int slotAndFunction, int offset, int sizeBytes, int value) {
    PciDevice device = (slotAndFunction & 7) == 0 ? slots[slotAndFunction >> 3 & 31] : null;
    if (device != null) {
      device.writeConfig(offset, sizeBytes, value);
    }
  }

  @Override
  public String name() {
    return "pci-host";
  }

  @Override
  public void reset() {
    address = 0;
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putInt(address);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    address = in.getInt();
  }

  /** The host bridge's own device, to be saved with the others. */
  public PciDevice bridge() {
    return java.util.Objects.requireNonNull(slots[0]);
  }

  /** Configuration mechanism 1. */
  private final class ConfigPorts implements PortDevice {
    @Override
    public int readPort(int port, int sizeBytes) {
      if (port < CONFIG_ADDRESS + 4) {
        return port == CONFIG_ADDRESS && sizeBytes == 4 ? address : -1;
      }
      int offset = address & 0xFC | port & 3;
      boolean ours = address < 0 && (address & 0x00FF0000) == 0 && (port & 3) + sizeBytes <= 4;
      return ours ? readConfig(address >> 8 & 0xFF, offset, sizeBytes) : -1;
    }

    @Override
    public void writePort(int port, int sizeBytes, int value) {
      if (port < CONFIG_ADDRESS + 4) {
        if (port == CONFIG_ADDRESS && sizeBytes == 4) {
          address = value & 0x80FFFFFC;
        }
        return;
      }
      int offset = address & 0xFC | port & 3;
      if (address < 0 && (address & 0x00FF0000) == 0 && (port & 3) + sizeBytes <= 4) {
        writeConfig(address >> 8 & 0xFF, offset, sizeBytes, value);
      }
    }
  }

  /** The memory-mapped window: 4 KiB a function. */
  private final class ConfigWindow implements MmioDevice {
    @Override
    public long readMmio(long offset, int sizeBytes) {
      int register = (int) offset & 0xFFF;
      if (sizeBytes > 4 || (register & 3) + sizeBytes > 4) {
        return -1;
      }
      return readConfig((int) (offset >> 12) & 0xFF, register, sizeBytes);
    }

    @Override
    public void writeMmio(long offset, int sizeBytes, long value) {
      int register = (int) offset & 0xFFF;
      if (sizeBytes <= 4 && (register & 3) + sizeBytes <= 4) {
        writeConfig((int) (offset >> 12) & 0xFF, register, sizeBytes, (int) value);
      }
    }
  }

  /** A host bridge that has nothing to configure. */
  private static final class HostBridge extends PciDevice {
    HostBridge() {
      super("pci-host-bridge", new PciIdentity(0x1B36, 0x0008, 0x060000, 0, 0x1AF4, 0x1100));
    }

    @Override
    protected void resetDevice() {}

    @Override
    protected void saveDevice(StateWriter out) {}

    @Override
    protected void restoreDevice(StateReader in) {}
  }
}
