package io.anillo.vmm.device.pci;

import static io.anillo.vmm.device.pci.PciConfigSpace.*;

import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MessageInterrupts;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A single-function PCI device with a type 0 header: configuration space, base address registers,
 * capabilities, the INTA pin and MSI-X (PCI Local Bus 3.0 §6).
 *
 * <p>A subclass declares its BARs and capabilities in its constructor, drives its interrupt by
 * {@link #setInterrupt} or {@link MsixTable#signal}, and keeps its own registers in {@link
 * #resetDevice}, {@link #saveDevice} and {@link #restoreDevice}. It may reach guest memory only
 * while {@link #busMaster} holds.
 */
public abstract class PciDevice implements Device {
  private static final int STATE_VERSION = 1;
  private static final int FIRST_CAPABILITY = 0x40;

  private final String name;
  private final PciConfigSpace config = new PciConfigSpace();
  private final List<PciBar> bars = new ArrayList<>();
  private int nextCapability = FIRST_CAPABILITY;
  private int lastCapability = CAPABILITIES;
  private @Nullable MsixTable msix;
  private boolean interruptAsserted;
  private InterruptLine interruptLine = InterruptLine.UNCONNECTED;
  private MessageInterrupts messages = (address, data) -> {};
  private Runnable decodingChanged = () -> {};

  protected PciDevice(String name, PciIdentity identity) {
    this.name = name;
    config.set(VENDOR_ID, 2, identity.vendorId());
    config.set(DEVICE_ID, 2, identity.deviceId());
    config.set(REVISION, 1, identity.revision());
    config.set(CLASS_CODE, 3, identity.classCode());
    config.set(SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendorId());
    config.set(SUBSYSTEM_ID, 2, identity.subsystemId());
    config.allowWrites(
        COMMAND,
        2,
        COMMAND_IO
            | COMMAND_MEMORY
            | COMMAND_BUS_MASTER
            | COMMAND_INTERRUPT_DISABLE
            | 1 << 6
            | 1 << 8);
    config.clearByOnes(STATUS, 2, 0xF900);
    config.allowWrites(CACHE_LINE_SIZE, 1, 0xFF);
    config.allowWrites(LATENCY_TIMER, 1, 0xFF);
    config.allowWrites(INTERRUPT_LINE, 1, 0xFF);
  }

  // ---- what a subclass declares in its constructor
  // ------------------------------------------------------------------

  /**
   * Declares a 32-bit memory BAR; the region sees offsets from its start. The size is a power of
   * two.
   */
  protected final void addMemoryBar32(
      int index, long sizeBytes, boolean prefetchable, MmioDevice region) {
    add(PciBar.memory(index, PciBar.Kind.MEMORY_32, sizeBytes, prefetchable, region));
  }

  /**
   * Declares a 64-bit memory BAR, which takes the registers {@code index} and {@code index + 1}.
   */
  protected final void addMemoryBar64(
      int index, long sizeBytes, boolean prefetchable, MmioDevice region) {
    add(PciBar.memory(index, PciBar.Kind.MEMORY_64, sizeBytes, prefetchable, region));
  }

  /** Declares an I/O BAR; the region is handed port numbers counted from its start. */
  protected final void addIoBar(int index, int sizeBytes, PortDevice region) {
    add(PciBar.io(index, sizeBytes, region));
  }

  private void add(PciBar bar) {
    int last = bar.kind == PciBar.Kind.MEMORY_64 ? bar.index + 1 : bar.index;
    if (bar.index < 0 || last > 5) {
      throw new IllegalArgumentException("BAR " + bar.index + " of " + name + " does not exist");
    }
    for (PciBar other : bars) {
      int otherLast = other.kind == PciBar.Kind.MEMORY_64 ? other.index + 1 : other.index;
      if (bar.index <= otherLast && other.index <= last) {
        throw new IllegalArgumentException(
            "BAR " + bar.index + " of " + name + " is declared twice");
      }
    }
    bars.add(bar);
    bar.describe(config);
  }

  /**
   * Appends a capability to the list.
   *
   * @param id the capability's id
   * @param lengthBytes its length with the two bytes of id and link
   * @return its offset in configuration space; the bytes from offset + 2 are the subclass's to fill
   */
  protected final int addCapability(int id, int lengthBytes) {
    int offset = nextCapability;
    if (offset + lengthBytes > SIZE_BYTES) {
      throw new IllegalArgumentException(
          "the capabilities of " + name + " do not fit into 256 bytes");
    }
    config.set(offset, 1, id);
    config.set(lastCapability == CAPABILITIES ? CAPABILITIES : lastCapability + 1, 1, offset);
    config.set(STATUS, 2, config.getShort(STATUS) | STATUS_CAPABILITIES);
    lastCapability = offset;
    nextCapability = offset + lengthBytes + 3 & ~3;
    return offset;
  }

  /** Declares MSI-X with its table and pending bits in a 32-bit memory BAR of their own. */
  protected final MsixTable addMsix(int barIndex, int vectors) {
    MsixTable table = new MsixTable(this, vectors);
    addMemoryBar32(barIndex, table.barBytes(), false, table);
    table.describe(config, addCapability(MsixTable.CAPABILITY_ID, 12), barIndex);
    msix = table;
    return table;
  }

  /** Declares that the device drives INTA. */
  protected final void useInterruptPin() {
    config.set(INTERRUPT_PIN, 1, 1);
  }

  // ---- what a subclass uses while it runs
  // ---------------------------------------------------------------------------

  /** The configuration space: for a capability's own registers. */
  protected final PciConfigSpace config() {
    return config;
  }

  /** Whether the guest lets the device reach memory, by DMA or by message-signalled interrupts. */
  public final boolean busMaster() {
    return (config.getShort(COMMAND) & COMMAND_BUS_MASTER) != 0;
  }

  /**
   * Drives INTA. The guest may have disabled the pin, or enabled MSI-X, which then keeps the line
   * released.
   */
  protected final void setInterrupt(boolean asserted) {
    interruptAsserted = asserted;
    updateInterruptLine();
  }

  /**
   * Called before the guest reads configuration space: a subclass may bring computed registers up
   * to date.
   */
  protected void beforeConfigRead(int offset, int sizeBytes) {}

  /** Called after the guest wrote configuration space. */
  protected void afterConfigWrite(int offset, int sizeBytes) {}

  /**
   * Brings the device's own registers to their state after reset. BARs, command and MSI-X are reset
   * already.
   */
  protected abstract void resetDevice();

  protected abstract void saveDevice(StateWriter out);

  protected abstract void restoreDevice(StateReader in);

  // ---- the guest's side
  // ---------------------------------------------------------------------------------------------

  /** Reads configuration space; beyond its 256 bytes there are zeros (no extended capabilities). */
  final int readConfig(int offset, int sizeBytes) {
    beforeConfigRead(offset, sizeBytes);
    return (int) config.get(offset, sizeBytes);
  }

  final void writeConfig(int offset, int sizeBytes, int value) {
    config.guestWrite(offset, sizeBytes, value & 0xFFFFFFFFL);
    if (offset < COMMAND + 2 && offset + sizeBytes > COMMAND
        || offset < 0x28 && offset + sizeBytes > BAR_0) {
      decodingChanged.run();
    }
    if (msix != null) {
      msix.configurationWritten();
    }
    updateInterruptLine();
    afterConfigWrite(offset, sizeBytes);
  }

  private void updateInterruptLine() {
    int status = config.getShort(STATUS) & ~STATUS_INTERRUPT;
    config.set(STATUS, 2, interruptAsserted ? status | STATUS_INTERRUPT : status);
    boolean disabled =
        (config.getShort(COMMAND) & COMMAND_INTERRUPT_DISABLE) != 0
            || msix != null && msix.enabled();
    interruptLine.set(interruptAsserted && !disabled);
  }

  // ---- the host bridge's side
  // ---------------------------------------------------------------------------------------

  final void attach(
      InterruptLine line, MessageInterrupts messageInterrupts, Runnable onDecodingChange) {
    interruptLine = line;
    messages = messageInterrupts;
    decodingChanged = onDecodingChange;
  }

  final List<PciBar> bars() {
    return bars;
  }

  final PciConfigSpace configuration() {
    return config;
  }

  final void sendMessage(long address, int data) {
    if (busMaster()) {
      messages.signal(address, data);
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  public final String name() {
    return name;
  }

  @Override
  public final void reset() {
    config.set(COMMAND, 2, 0);
    config.set(STATUS, 2, config.getShort(STATUS) & STATUS_CAPABILITIES);
    config.set(INTERRUPT_LINE, 1, 0);
    config.set(CACHE_LINE_SIZE, 2, 0);
    for (PciBar bar : bars) {
      bar.setBase(config, 0);
    }
    if (msix != null) {
      msix.reset();
    }
    decodingChanged.run();
    setInterrupt(false);
    resetDevice();
  }

  @Override
  public final void save(StateWriter out) {
    out.record("pci:" + name, STATE_VERSION);
    config.save(out);
    out.putBoolean(interruptAsserted);
    if (msix != null) {
      msix.save(out);
    }
    saveDevice(out);
  }

  @Override
  public final void restore(StateReader in) {
    in.record("pci:" + name, STATE_VERSION);
    config.restore(in);
    interruptAsserted = in.getBoolean();
    if (msix != null) {
      msix.restore(in);
    }
    decodingChanged.run();
    updateInterruptLine();
    restoreDevice(in);
  }
}
