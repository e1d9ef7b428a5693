package io.anillo.vmm.device.virtio;

import io.anillo.vmm.device.pci.MsixTable;
import io.anillo.vmm.device.pci.PciConfigSpace;
import io.anillo.vmm.device.pci.PciDevice;
import io.anillo.vmm.device.pci.PciIdentity;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * A virtio device as a PCI function (virtio 1.2 §4.1), modern only: the capabilities that tell
 * where the registers lie, one memory BAR with all of them, MSI-X with a vector for each queue and
 * one for configuration changes, INTA for drivers without MSI-X, and access to the registers
 * through configuration space alone (§4.1.4.9).
 */
public final class VirtioPciFunction extends PciDevice {
  private static final int VENDOR = 0x1AF4;
  private static final int FIRST_DEVICE = 0x1040;
  private static final int CAPABILITY_VENDOR = 0x09;
  private static final int MSIX_BAR = 1;
  private static final int REGISTER_BAR = 4;

  /** Types of virtio structures (§4.1.4). */
  private static final int COMMON = 1, NOTIFY = 2, ISR = 3, DEVICE = 4, PCI_ACCESS = 5;

  private static final int CAPABILITY_BYTES = 16;

  private final VirtioDevice device;
  private final VirtioPciRegisters registers;
  private final MsixTable msix;

  /** Offset of the window's capability in configuration space. */
  private final int window;

  /** Puts a device behind PCI. */
  public VirtioPciFunction(VirtioDevice device) {
    super(
        device.name(),
        new PciIdentity(
            VENDOR,
            FIRST_DEVICE + device.type(),
            classCode(device.type()),
            1,
            VENDOR,
            0x40 + device.type()));
    this.device = device;
    this.registers = new VirtioPciRegisters(device, new FunctionInterrupts());
    addMemoryBar32(REGISTER_BAR, VirtioPciRegisters.BAR_BYTES, false, registers);
    this.msix = addMsix(MSIX_BAR, device.queueCount() + 1);
    useInterruptPin();
    addStructure(COMMON, VirtioPciRegisters.COMMON_OFFSET, VirtioPciRegisters.COMMON_BYTES, 0);
    int notify =
        addStructure(NOTIFY, VirtioPciRegisters.NOTIFY_OFFSET, VirtioPciRegisters.NOTIFY_BYTES, 4);
    config().set(notify + CAPABILITY_BYTES, 4, VirtioPciRegisters.NOTIFY_MULTIPLIER);
    addStructure(ISR, VirtioPciRegisters.ISR_OFFSET, VirtioPciRegisters.ISR_BYTES, 0);
    if (device.configurationBytes() > 0) {
      addStructure(DEVICE, VirtioPciRegisters.DEVICE_OFFSET, VirtioPciRegisters.DEVICE_BYTES, 0);
    }
    this.window = addStructure(PCI_ACCESS, 0, 0, 4);
    config().allowWrites(window + 4, 1, 0xFF);
    config().allowWrites(window + 8, 4, -1);
    config().allowWrites(window + 12, 4, -1);
    config().allowWrites(window + CAPABILITY_BYTES, 4, -1);
  }

  private static int classCode(int type) {
    return switch (type) {
      case 1 -> 0x02_0000; // Ethernet controller
      case 2 -> 0x01_8000; // other mass storage
      case 3 -> 0x07_8000; // other communication
      default -> 0xFF_0000; // unclassified
    };
  }

  private int addStructure(int type, int offset, int lengthBytes, int extraBytes) {
    int at = addCapability(CAPABILITY_VENDOR, CAPABILITY_BYTES + extraBytes);
    config().set(at + 2, 1, CAPABILITY_BYTES + extraBytes);
    config().set(at + 3, 1, type);
    config().set(at + 4, 1, type == PCI_ACCESS ? 0 : REGISTER_BAR);
    config().set(at + 8, 4, offset);
    config().set(at + 12, 4, lengthBytes);
    return at;
  }

  /** The device behind the function. */
  public VirtioDevice device() {
    return device;
  }

  private final class FunctionInterrupts implements VirtioPciRegisters.Interrupts {
    @Override
    public boolean messagesEnabled() {
      return msix.enabled();
    }

    @Override
    public int vectors() {
      return msix.vectors();
    }

    @Override
    public void signal(int vector) {
      msix.signal(vector);
    }

    @Override
    public void setLine(boolean asserted) {
      setInterrupt(asserted);
    }

    @Override
    public boolean memoryAllowed() {
      return busMaster();
    }
  }

  // ---- configuration space
  // ------------------------------------------------------------------------------------------

  @Override
  protected void beforeConfigRead(int offset, int sizeBytes) {
    if (touchesWindow(offset, sizeBytes) && windowUsable()) {
      long value = registers.readMmio(config().get(window + 8, 4), config().getInt(window + 12));
      config().set(window + CAPABILITY_BYTES, 4, value);
    }
  }

  @Override
  protected void afterConfigWrite(int offset, int sizeBytes) {
    if (touchesWindow(offset, sizeBytes) && windowUsable()) {
      long value = config().get(window + CAPABILITY_BYTES, 4);
      registers.writeMmio(config().get(window + 8, 4), config().getInt(window + 12), value);
    }
    if (offset <= PciConfigSpace.COMMAND && offset + sizeBytes > PciConfigSpace.COMMAND) {
      // Requests that were made before the device might reach memory are served now.
      device.serveWaiting();
    }
  }

  private boolean touchesWindow(int offset, int sizeBytes) {
    int data = window + CAPABILITY_BYTES;
    return offset < data + 4 && offset + sizeBytes > data;
  }

  private boolean windowUsable() {
    long offset = config().get(window + 8, 4);
    int length = config().getInt(window + 12);
    return config().getByte(window + 4) == REGISTER_BAR
        && (length == 1 || length == 2 || length == 4)
        && offset % length == 0
        && offset + length <= VirtioPciRegisters.BAR_BYTES;
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  protected void resetDevice() {
    device.reset();
    registers.reset();
    config().set(window + 4, 1, 0);
    config().set(window + 8, 4, 0);
    config().set(window + 12, 4, 0);
    config().set(window + CAPABILITY_BYTES, 4, 0);
  }

  @Override
  public void start() {
    device.start();
  }

  @Override
  public void pause() {
    device.pause();
  }

  @Override
  public void resume() {
    device.resume();
  }

  @Override
  public void stop() {
    device.stop();
  }

  @Override
  protected void saveDevice(StateWriter out) {
    registers.save(out);
    device.save(out);
  }

  @Override
  protected void restoreDevice(StateReader in) {
    registers.restore(in);
    device.restore(in);
  }
}
