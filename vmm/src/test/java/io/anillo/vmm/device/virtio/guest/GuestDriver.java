package io.anillo.vmm.device.virtio.guest;

import io.anillo.vmm.device.pci.PciHost;
import io.anillo.vmm.device.pci.PciWindows;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.device.virtio.VirtioPciFunction;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A guest's driver for one virtio PCI function: finds its structures through configuration
 * mechanism 1, programs BARs and MSI-X, negotiates, sets up queues. What it allocates lies from
 * {@link #HEAP} upwards.
 */
public final class GuestDriver {
  public static final int SLOT = 3;
  private static final long HEAP = 0x10_0000;
  private static final long MESSAGE_ADDRESS = 0xFEE0_0000L;

  public final TestBoard board;
  public final VirtioPciFunction function;
  public final PciHost host;
  public final GuestMemory memory;

  /** Vectors of the messages that arrived, in order; -1 is the interrupt line going up. */
  public final List<Integer> interrupts = new ArrayList<>();

  public long features;
  public boolean lineAsserted;
  private long heap = HEAP;
  private long common;
  private long notify;
  private int notifyMultiplier;
  private long isr;
  private long deviceConfig;
  private int msixCapability;
  private int windowCapability;
  private long msixTable;
  private @Nullable GuestQueue[] queues = new GuestQueue[0];

  /** Puts the device into a machine and resets it; the driver does nothing yet. */
  public GuestDriver(TestBoard board, VirtioDevice device) {
    this.board = board;
    this.memory = board.memory();
    this.function = new VirtioPciFunction(device);
    this.host =
        new PciHost(
            board,
            (address, data) -> interrupts.add(data),
            List.of(level -> {}, level -> {}, level -> {}, this::setLine),
            PciWindows.STANDARD);
    host.attach(SLOT, function);
    host.reset();
    function.reset();
    function.start();
    host.assignResources(10, 10, 11, 11);
  }

  private void setLine(boolean level) {
    if (level && !lineAsserted) {
      interrupts.add(-1);
    }
    lineAsserted = level;
  }

  public VirtioDevice device() {
    return function.device();
  }

  // ---- configuration space
  // ------------------------------------------------------------------------------------------

  public int configRead(int offset, int size) {
    board.writePort(0xCF8, 4, 0x8000_0000 | SLOT << 11 | offset & 0xFC);
    return board.readPort(0xCFC + (offset & 3), size) & (int) ((1L << 8 * size) - 1);
  }

  public void configWrite(int offset, int size, int value) {
    board.writePort(0xCF8, 4, 0x8000_0000 | SLOT << 11 | offset & 0xFC);
    board.writePort(0xCFC + (offset & 3), size, value);
  }

  private void discover() {
    for (int at = configRead(0x34, 1); at != 0; at = configRead(at + 1, 1)) {
      int id = configRead(at, 1);
      if (id == 0x11) {
        msixCapability = at;
        int place = configRead(at + 4, 4);
        msixTable = bar(place & 7) + (place & ~7);
      } else if (id == 0x09) {
        long place = bar(configRead(at + 4, 1)) + configRead(at + 8, 4);
        switch (configRead(at + 3, 1)) {
          case 1 -> common = place;
          case 2 -> {
            notify = place;
            notifyMultiplier = configRead(at + 16, 4);
          }
          case 3 -> isr = place;
          case 4 -> deviceConfig = place;
          case 5 -> windowCapability = at;
          default -> throw new AssertionError("capability type " + configRead(at + 3, 1));
        }
      }
    }
  }

  private long bar(int index) {
    return configRead(0x10 + 4 * index, 4) & 0xFFFF_FFF0L;
  }

  /** Reads a register through the configuration window (virtio 1.2 §4.1.4.9). */
  public int windowRead(int offset, int size) {
    setWindow(offset, size);
    return configRead(windowCapability + 16, size);
  }

  public void windowWrite(int offset, int size, int value) {
    setWindow(offset, size);
    configWrite(windowCapability + 16, size, value);
  }

  private void setWindow(int offset, int size) {
    configWrite(windowCapability + 4, 1, 4);
    configWrite(windowCapability + 8, 4, offset);
    configWrite(windowCapability + 12, 4, size);
  }

  // ---- registers
  // ----------------------------------------------------------------------------------------------------

  public int readCommon(int offset, int size) {
    return (int) board.readMmio(common + offset, size);
  }

  public void writeCommon(int offset, int size, long value) {
    board.writeMmio(common + offset, size, value);
  }

  public int status() {
    return readCommon(0x14, 1);
  }

  public void setStatus(int value) {
    writeCommon(0x14, 1, value);
  }

  public boolean needsReset() {
    return (status() & VirtioDevice.DEVICE_NEEDS_RESET) != 0;
  }

  public int readIsr() {
    return (int) board.readMmio(isr, 1);
  }

  public long readDevice(int offset, int size) {
    return board.readMmio(deviceConfig + offset, size);
  }

  public void writeDevice(int offset, int size, long value) {
    board.writeMmio(deviceConfig + offset, size, value);
  }

  public long offeredFeatures() {
    writeCommon(0, 4, 0);
    long low = readCommon(4, 4) & 0xFFFF_FFFFL;
    writeCommon(0, 4, 1);
    return low | (long) readCommon(4, 4) << 32;
  }

  public void doorbell(int queue) {
    board.writeMmio(notify + (long) queue * notifyMultiplier, 2, queue);
  }

  // ---- bring-up (virtio 1.2 §3.1.1)
  // -----------------------------------------------------------------------------------

  /** Everything up to FEATURES_OK; the features are what the device offers of {@code wanted}. */
  public GuestDriver negotiate(long wanted) {
    configWrite(0x04, 2, 0x6); // memory decoding and bus mastering
    discover();
    setStatus(0);
    setStatus(VirtioDevice.ACKNOWLEDGE);
    setStatus(VirtioDevice.ACKNOWLEDGE | VirtioDevice.DRIVER);
    features = (wanted | VirtioDevice.VERSION_1) & offeredFeatures();
    writeCommon(8, 4, 0);
    writeCommon(0xC, 4, features & 0xFFFF_FFFFL);
    writeCommon(8, 4, 1);
    writeCommon(0xC, 4, features >>> 32);
    setStatus(status() | VirtioDevice.FEATURES_OK);
    if ((status() & VirtioDevice.FEATURES_OK) == 0) {
      throw new AssertionError("the device refuses features 0x" + Long.toHexString(features));
    }
    return this;
  }

  /**
   * Switches MSI-X on: vector 0 for configuration, vector i + 1 for queue i; a message's data is
   * its vector.
   */
  public GuestDriver useMessages() {
    int vectors = (configRead(msixCapability + 2, 2) & 0x7FF) + 1;
    for (int i = 0; i < vectors; i++) {
      board.writeMmio(msixTable + 16L * i, 4, MESSAGE_ADDRESS);
      board.writeMmio(msixTable + 16L * i + 4, 4, 0);
      board.writeMmio(msixTable + 16L * i + 8, 4, i);
      board.writeMmio(msixTable + 16L * i + 12, 4, 0);
    }
    configWrite(msixCapability + 2, 2, 0x8000);
    writeCommon(0x10, 2, 0);
    return this;
  }

  /** Sets up all queues with at most {@code size} entries and says DRIVER_OK. */
  public GuestDriver ready(int size) {
    int count = readCommon(0x12, 2);
    queues = new GuestQueue[count];
    for (int i = 0; i < count; i++) {
      writeCommon(0x16, 2, i);
      queues[i] = setUpQueue(i, Math.min(size, readCommon(0x18, 2)));
    }
    setStatus(status() | VirtioDevice.DRIVER_OK);
    return this;
  }

  public GuestQueue setUpQueue(int index, int size) {
    long area = allocate(GuestQueue.BYTES);
    boolean eventIndex = (features & VirtioDevice.EVENT_INDEX) != 0;
    writeCommon(0x16, 2, index);
    int offset = readCommon(0x1E, 2);
    GuestQueue queue =
        new GuestQueue(memory, index, size, area, eventIndex, () -> doorbell(offset));
    queue.indirect = (features & VirtioDevice.INDIRECT_DESCRIPTORS) != 0;
    writeCommon(0x18, 2, size);
    writeCommon(0x1A, 2, index + 1);
    writeCommon(0x20, 4, queue.table);
    writeCommon(0x24, 4, 0);
    writeCommon(0x28, 8, queue.available);
    writeCommon(0x30, 8, queue.used);
    writeCommon(0x1C, 2, 1);
    return queue;
  }

  public GuestQueue queue(int index) {
    return Objects.requireNonNull(queues[index]);
  }

  public void replaceQueue(GuestQueue queue) {
    queues[queue.index] = queue;
  }

  /** Negotiates everything offered and sets up queues of 64 entries with MSI-X. */
  public GuestDriver bringUp() {
    return negotiate(-1).useMessages().ready(64);
  }

  // ---- memory
  // -------------------------------------------------------------------------------------------------------

  /** A page-aligned piece of RAM that is never given back. */
  public long allocate(long bytes) {
    long at = heap;
    heap += bytes + 4095 & ~4095L;
    if (heap > memory.ramBytes()) {
      throw new AssertionError("the test's guest has no more memory");
    }
    return at;
  }

  /** Lets the memory be allocated anew: for a guest that starts over. */
  public void forgetMemory() {
    heap = HEAP;
  }

  public GuestQueue.Buffer buffer(byte[] content) {
    long at = allocate(content.length);
    memory.write(at, content, 0, content.length);
    return new GuestQueue.Buffer(at, content.length);
  }

  public GuestQueue.Buffer room(int bytes) {
    return new GuestQueue.Buffer(allocate(bytes), bytes);
  }

  public byte[] content(GuestQueue.Buffer buffer) {
    byte[] bytes = new byte[buffer.length()];
    memory.read(buffer.address(), bytes, 0, bytes.length);
    return bytes;
  }

  // ---- state
  // --------------------------------------------------------------------------------------------------------

  /** Saves the paused machine's host bridge and device. */
  public byte[] save() {
    StateWriter out = new StateWriter();
    host.save(out);
    function.save(out);
    return out.toByteArray();
  }

  /** The device's state alone. */
  public byte[] saveFunction() {
    StateWriter out = new StateWriter();
    function.save(out);
    return out.toByteArray();
  }

  /**
   * Continues as the same driver on another machine whose RAM holds the same bytes, with a fresh
   * device that takes the saved state; then resumes it.
   */
  public GuestDriver continueOn(TestBoard other, VirtioDevice fresh, byte[] state) {
    GuestDriver driver = new GuestDriver(other, fresh);
    StateReader in = new StateReader(state);
    driver.host.restore(in);
    driver.function.restore(in);
    if (!in.atEnd()) {
      throw new AssertionError("the device left a part of its state unread");
    }
    driver.features = features;
    driver.heap = heap;
    driver.discover();
    driver.queues = new GuestQueue[queues.length];
    for (int i = 0; i < queues.length; i++) {
      int number = i;
      driver.queues[i] = queue(i).continueOn(other.memory(), () -> driver.doorbell(number));
    }
    driver.function.resume();
    return driver;
  }
}
