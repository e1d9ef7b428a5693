package io.anillo.vmm.device.virtio;

import io.anillo.vmm.device.DoorbellRegion;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The registers of a virtio PCI function, all in one memory BAR: common configuration, ISR status,
 * device configuration and notification doorbells (virtio 1.2 §4.1.4).
 *
 * <p>The structures begin at the {@code *_OFFSET}s and are reached by accesses of a field's own
 * width, as §4.1.3.1 asks of drivers; 64-bit fields also by two halves. Other writes change
 * nothing.
 */
final class VirtioPciRegisters implements DoorbellRegion, VirtioTransport {
  static final int BAR_BYTES = 0x4000;
  static final int COMMON_OFFSET = 0x0000;
  static final int COMMON_BYTES = 0x40;
  static final int ISR_OFFSET = 0x1000;
  static final int ISR_BYTES = 4;
  static final int DEVICE_OFFSET = 0x2000;
  static final int DEVICE_BYTES = 0x1000;
  static final int NOTIFY_OFFSET = 0x3000;
  static final int NOTIFY_BYTES = 0x1000;

  /** Distance between the doorbells of two queues. */
  static final int NOTIFY_MULTIPLIER = 4;

  private static final int ISR_QUEUE = 1;
  private static final int ISR_CONFIGURATION = 2;

  /** How interrupts leave the function. */
  interface Interrupts {
    /** Whether MSI-X is enabled, so that the line is not used. */
    boolean messagesEnabled();

    /** Vectors in the MSI-X table. */
    int vectors();

    void signal(int vector);

    void setLine(boolean asserted);

    /** Whether the function may reach guest memory (bus mastering is on). */
    boolean memoryAllowed();
  }

  private final VirtioDevice device;
  private final Interrupts interrupts;
  private int deviceFeatureSelect;
  private int driverFeatureSelect;
  private int configurationVector;
  private int queueSelect;
  private int isr;

  VirtioPciRegisters(VirtioDevice device, Interrupts interrupts) {
    this.device = device;
    this.interrupts = interrupts;
    device.connect(this);
    reset();
  }

  void reset() {
    deviceFeatureSelect = 0;
    driverFeatureSelect = 0;
    configurationVector = VirtQueue.NO_VECTOR;
    queueSelect = 0;
    isr = 0;
  }

  // ---- interrupts
  // ---------------------------------------------------------------------------------------------------

  @Override
  public void interruptQueue(VirtQueue queue) {
    interrupt(queue.vector(), ISR_QUEUE);
  }

  @Override
  public void interruptConfiguration() {
    interrupt(configurationVector, ISR_CONFIGURATION);
  }

  @Override
  public boolean memoryAllowed() {
    return interrupts.memoryAllowed();
  }

  private void interrupt(int vector, int cause) {
    if (interrupts.messagesEnabled()) {
      if (vector != VirtQueue.NO_VECTOR) {
        interrupts.signal(vector);
      }
    } else {
      isr |= cause;
      interrupts.setLine(true);
    }
  }

  private int readIsr() {
    int value = isr;
    isr = 0;
    interrupts.setLine(false);
    return value;
  }

  // ---- doorbells that are heard elsewhere

  @Override
  public int[] doorbells() {
    int[] offsets = new int[device.queueCount()];
    for (int i = 0; i < offsets.length; i++) {
      offsets[i] = NOTIFY_OFFSET + i * NOTIFY_MULTIPLIER;
    }
    return offsets;
  }

  @Override
  public void rung() {
    device.serveWaiting();
  }

  // ---- accesses
  // -----------------------------------------------------------------------------------------------------

  @Override
  public long readMmio(long offset, int sizeBytes) {
    if (sizeBytes == 8) {
      return (readMmio(offset, 4) & 0xFFFF_FFFFL) | readMmio(offset + 4, 4) << 32;
    }
    if (offset >= NOTIFY_OFFSET) {
      return 0;
    }
    if (offset >= DEVICE_OFFSET) {
      return device.readConfiguration(offset - DEVICE_OFFSET, sizeBytes) & 0xFFFF_FFFFL;
    }
    if (offset >= ISR_OFFSET) {
      return offset == ISR_OFFSET ? readIsr() : 0;
    }
    return readCommon((int) offset & ~3) >>> (8 * (offset & 3));
  }

  /**
   * The four bytes of the common configuration structure at an aligned offset (virtio 1.2
   * §4.1.4.3).
   */
  private long readCommon(int offset) {
    VirtQueue queue = selected();
    long value =
        switch (offset) {
          case 0x00 -> deviceFeatureSelect;
          case 0x04 -> half(device.offeredFeatures(), deviceFeatureSelect);
          case 0x08 -> driverFeatureSelect;
          case 0x0C -> half(device.driverFeatures(), driverFeatureSelect);
          case 0x10 -> configurationVector | device.queueCount() << 16;
          case 0x14 -> device.status() | device.configurationGeneration() << 8 | queueSelect << 16;
          case 0x18 -> queue == null ? NO_QUEUE : queue.size() | queue.vector() << 16;
          case 0x1C -> queue == null ? 0 : (queue.enabled() ? 1 : 0) | queue.index() << 16;
          case 0x20 -> queue == null ? 0 : queue.descriptorTable();
          case 0x24 -> queue == null ? 0 : queue.descriptorTable() >>> 32;
          case 0x28 -> queue == null ? 0 : queue.driverArea();
          case 0x2C -> queue == null ? 0 : queue.driverArea() >>> 32;
          case 0x30 -> queue == null ? 0 : queue.deviceArea();
          case 0x34 -> queue == null ? 0 : queue.deviceArea() >>> 32;
          default -> 0;
        };
    return value & 0xFFFF_FFFFL;
  }

  /** A queue that does not exist: size 0, no vector. */
  private static final int NO_QUEUE = VirtQueue.NO_VECTOR << 16;

  private static int half(long features, int select) {
    return select == 0 ? (int) features : select == 1 ? (int) (features >>> 32) : 0;
  }

  private @org.jspecify.annotations.Nullable VirtQueue selected() {
    return queueSelect < device.queueCount() ? device.queue(queueSelect) : null;
  }

  @Override
  public void writeMmio(long offset, int sizeBytes, long value) {
    if (offset >= NOTIFY_OFFSET) {
      // The doorbell's address tells the queue; what is written does so too (§4.1.5.2) and is not
      // needed.
      device.notified((int) ((offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER));
    } else if (sizeBytes == 8) {
      writeMmio(offset, 4, value & 0xFFFF_FFFFL);
      writeMmio(offset + 4, 4, value >>> 32);
    } else if (offset >= DEVICE_OFFSET) {
      device.writeConfiguration(offset - DEVICE_OFFSET, sizeBytes, (int) value);
    } else if (offset < COMMON_BYTES) {
      writeCommon((int) offset, sizeBytes, (int) value);
    }
  }

  private void writeCommon(int offset, int sizeBytes, int value) {
    VirtQueue queue = selected();
    switch (offset << 4 | sizeBytes) {
      case 0x004 -> deviceFeatureSelect = value;
      case 0x084 -> driverFeatureSelect = value;
      case 0x0C4 -> writeDriverFeatures(value);
      case 0x102 -> configurationVector = vectorOrNone(value);
      case 0x141 -> writeStatus(value & 0xFF);
      case 0x162 -> queueSelect = value & 0xFFFF;
      default -> {
        if (queue != null) {
          writeQueue(queue, offset << 4 | sizeBytes, value);
        }
      }
    }
  }

  private void writeQueue(VirtQueue queue, int offsetAndSize, int value) {
    long low = value & 0xFFFF_FFFFL;
    long high = low << 32;
    switch (offsetAndSize) {
      case 0x182 -> queue.setSize(value & 0xFFFF);
      case 0x1A2 -> queue.setVector(vectorOrNone(value));
      case 0x1C2 -> {
        if ((value & 0xFFFF) == 1) {
          device.enableQueue(queue);
        }
      }
      case 0x204 -> queue.setDescriptorTable(queue.descriptorTable() & ~0xFFFF_FFFFL | low);
      case 0x244 -> queue.setDescriptorTable(queue.descriptorTable() & 0xFFFF_FFFFL | high);
      case 0x284 -> queue.setDriverArea(queue.driverArea() & ~0xFFFF_FFFFL | low);
      case 0x2C4 -> queue.setDriverArea(queue.driverArea() & 0xFFFF_FFFFL | high);
      case 0x304 -> queue.setDeviceArea(queue.deviceArea() & ~0xFFFF_FFFFL | low);
      case 0x344 -> queue.setDeviceArea(queue.deviceArea() & 0xFFFF_FFFFL | high);
      case 0x3A2 -> {
        if ((value & 0xFFFF) == 1) {
          device.resetQueue(queue);
        }
      }
      default -> {
        // Not a field, or not its width: nothing happens.
      }
    }
  }

  private void writeDriverFeatures(int value) {
    long features = device.driverFeatures();
    if (driverFeatureSelect == 0) {
      device.setDriverFeatures(features & ~0xFFFF_FFFFL | value & 0xFFFF_FFFFL);
    } else if (driverFeatureSelect == 1) {
      device.setDriverFeatures(features & 0xFFFF_FFFFL | (long) value << 32);
    }
  }

  private void writeStatus(int value) {
    device.setStatus(value);
    if (value == 0) {
      reset();
      interrupts.setLine(false);
    }
  }

  /** §4.1.5.1.2.1: a vector that does not exist reads back as none. */
  private int vectorOrNone(int value) {
    int vector = value & 0xFFFF;
    return vector < interrupts.vectors() ? vector : VirtQueue.NO_VECTOR;
  }

  // ---- state
  // --------------------------------------------------------------------------------------------------------

  void save(StateWriter out) {
    out.record(device.name() + "/pci", 1);
    out.putInt(deviceFeatureSelect).putInt(driverFeatureSelect).putInt(configurationVector);
    out.putInt(queueSelect).putInt(isr);
  }

  void restore(StateReader in) {
    in.record(device.name() + "/pci", 1);
    deviceFeatureSelect = in.getInt();
    driverFeatureSelect = in.getInt();
    configurationVector = in.getInt() & 0xFFFF;
    queueSelect = in.getInt() & 0xFFFF;
    isr = in.getInt() & 3;
    interrupts.setLine(isr != 0);
  }
}
