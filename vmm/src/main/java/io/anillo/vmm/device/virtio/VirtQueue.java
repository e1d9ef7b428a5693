package io.anillo.vmm.device.virtio;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.lang.invoke.VarHandle;
import java.util.function.Consumer;

/**
 * The device's side of a split virtqueue (virtio 1.2 §2.7), with indirect descriptors and event
 * indexes.
 *
 * <p>Everything in the rings is written by the guest and believed by nobody: an index out of
 * bounds, a chain with a loop, a buffer outside RAM or a ring that claims more requests than it has
 * room for make the queue <em>broken</em>; it then gives no more requests until it is reset, and
 * the device asks for a reset (§2.1.1, DEVICE_NEEDS_RESET).
 *
 * <p>Hot class: {@link #poll}, {@link #complete} and {@link #interruptWanted} run once per request
 * and allocate nothing. Fences stand where another processor of the guest may be at work on the
 * same ring.
 */
public final class VirtQueue {
  /** Largest queue size a device may have. */
  static final int LARGEST = 1024;

  /** No MSI-X vector (virtio 1.2 §4.1.5.1.2). */
  public static final int NO_VECTOR = 0xFFFF;

  /**
   * Largest sum of a chain's lengths: what free-page reporting of huge blocks needs, and little
   * work to check.
   */
  private static final long MAXIMUM_CHAIN_BYTES = 1L << 30;

  private static final int DESCRIPTOR_BYTES = 16;
  private static final int FLAG_NEXT = 1;
  private static final int FLAG_WRITE = 2;
  private static final int FLAG_INDIRECT = 4;
  private static final int AVAILABLE_NO_INTERRUPT = 1;
  private static final int USED_NO_NOTIFY = 1;

  private final GuestMemory memory;
  private final int index;
  private final int maximumSize;
  private final Consumer<String> onBroken;

  private int size;
  private long descriptorTable;
  private long driverArea;
  private long deviceArea;
  private int vector;
  private boolean enabled;
  private boolean broken;
  private boolean indirectAllowed;
  private boolean eventIndex;
  private int lastAvailable;
  private int usedIndex;
  private int publishedIndex;
  private int signalledIndex;
  private boolean signalledKnown;

  /**
   * Makes a queue that is not yet set up.
   *
   * @param maximumSize a power of two, at most 1024
   * @param onBroken told, once, what the driver did wrong
   */
  VirtQueue(GuestMemory memory, int index, int maximumSize, Consumer<String> onBroken) {
    if (Integer.bitCount(maximumSize) != 1 || maximumSize > LARGEST) {
      throw new IllegalArgumentException(
          "queue size " + maximumSize + " is not a power of two up to " + LARGEST);
    }
    this.memory = memory;
    this.index = index;
    this.maximumSize = maximumSize;
    this.onBroken = onBroken;
    reset();
  }

  void reset() {
    size = maximumSize;
    descriptorTable = 0;
    driverArea = 0;
    deviceArea = 0;
    vector = NO_VECTOR;
    enabled = false;
    broken = false;
    indirectAllowed = false;
    eventIndex = false;
    lastAvailable = 0;
    usedIndex = 0;
    publishedIndex = 0;
    signalledIndex = 0;
    signalledKnown = false;
  }

  // ---- set-up by the transport
  // --------------------------------------------------------------------------------------

  public int index() {
    return index;
  }

  public int size() {
    return size;
  }

  public int maximumSize() {
    return maximumSize;
  }

  public boolean enabled() {
    return enabled;
  }

  boolean broken() {
    return broken;
  }

  int vector() {
    return vector;
  }

  void setVector(int newVector) {
    vector = newVector;
  }

  long descriptorTable() {
    return descriptorTable;
  }

  long driverArea() {
    return driverArea;
  }

  long deviceArea() {
    return deviceArea;
  }

  // The set-up registers are the driver's only while the queue is disabled (virtio 1.2 §4.1.4.3.2).

  void setSize(int newSize) {
    if (!enabled) {
      size = newSize;
    }
  }

  void setDescriptorTable(long address) {
    if (!enabled) {
      descriptorTable = address;
    }
  }

  void setDriverArea(long address) {
    if (!enabled) {
      driverArea = address;
    }
  }

  void setDeviceArea(long address) {
    if (!enabled) {
      deviceArea = address;
    }
  }

  /** Begins to use the rings where the driver has put them. */
  void enable(boolean indirectDescriptors, boolean eventIndexes) {
    if (enabled) {
      return;
    }
    enabled = true;
    indirectAllowed = indirectDescriptors;
    eventIndex = eventIndexes;
    if (Integer.bitCount(size) != 1 || size < 1 || size > maximumSize) {
      fail("size " + size + " is not a power of two up to " + maximumSize);
    } else if ((descriptorTable & 15) != 0 || (driverArea & 1) != 0 || (deviceArea & 3) != 0) {
      fail("rings are not aligned");
    } else if (!memory.isRam(descriptorTable, (long) size * DESCRIPTOR_BYTES)
        || !memory.isRam(driverArea, 6 + 2L * size)
        || !memory.isRam(deviceArea, 6 + 8L * size)) {
      fail("rings are not in RAM");
    }
  }

  private boolean fail(String reason) {
    if (!broken) {
      broken = true;
      onBroken.accept("queue " + index + ": " + reason);
    }
    return false;
  }

  // ---- requests
  // -----------------------------------------------------------------------------------------------------

  /** How many requests the driver has made available and the device has not taken. */
  public int waiting() {
    if (!enabled || broken) {
      return 0;
    }
    int available = memory.getShort(driverArea + 2) & 0xFFFF;
    int waiting = (available - lastAvailable) & 0xFFFF;
    if (waiting > size) {
      fail("available index " + available + " is " + waiting + " ahead in a ring of " + size);
      return 0;
    }
    return waiting;
  }

  /**
   * Takes the next request.
   *
   * @param chain filled with its buffers
   * @return false when there is none, or the queue is broken
   */
  public boolean poll(DescriptorChain chain) {
    if (waiting() == 0) {
      return false;
    }
    VarHandle.acquireFence();
    int slot = lastAvailable & (size - 1);
    int head = memory.getShort(driverArea + 4 + 2L * slot) & 0xFFFF;
    if (!walk(head, chain)) {
      return false;
    }
    lastAvailable = (lastAvailable + 1) & 0xFFFF;
    return true;
  }

  /** Gives the last taken request back to the ring, untouched; {@link #poll} will find it again. */
  public void unpoll() {
    lastAvailable = (lastAvailable - 1) & 0xFFFF;
  }

  private boolean walk(int head, DescriptorChain chain) {
    if (head >= size) {
      return fail("descriptor " + head + " of " + size);
    }
    chain.clear(head);
    long table = descriptorTable;
    int tableSize = size;
    boolean indirect = false;
    boolean writableSeen = false;
    long totalBytes = 0;
    int current = head;
    // One step per descriptor: more steps than the table has entries is a loop.
    for (int steps = 0; ; steps++) {
      if (steps >= tableSize || steps >= DescriptorChain.MAXIMUM_SEGMENTS) {
        return fail("descriptor chain at " + head + " is a loop or too long");
      }
      long entry = table + (long) current * DESCRIPTOR_BYTES;
      long address = memory.getLong(entry);
      long length = memory.getInt(entry + 8) & 0xFFFF_FFFFL;
      int flags = memory.getShort(entry + 12);
      int next = memory.getShort(entry + 14) & 0xFFFF;
      if ((flags & FLAG_INDIRECT) != 0) {
        // §2.7.5.3.1: not nested, not chained further.
        if (!indirectAllowed || indirect || (flags & FLAG_NEXT) != 0) {
          return fail("indirect descriptor " + current + " where none may be");
        }
        if (length == 0 || length % DESCRIPTOR_BYTES != 0 || length > 0x10_0000) {
          return fail("indirect table of " + length + " bytes");
        }
        if (!memory.isRam(address, length)) {
          return fail("indirect table is not in RAM");
        }
        indirect = true;
        table = address;
        tableSize = (int) (length / DESCRIPTOR_BYTES);
        current = 0;
        steps = -1;
        continue;
      }
      boolean writable = (flags & FLAG_WRITE) != 0;
      if (writableSeen && !writable) {
        return fail("readable buffer behind a writable one in chain " + head);
      }
      writableSeen = writable;
      totalBytes += length;
      if (totalBytes > MAXIMUM_CHAIN_BYTES) {
        return fail("chain " + head + " is longer than 1 GiB");
      }
      if (length != 0) {
        if (!memory.isRam(address, length)) {
          return fail("buffer of chain " + head + " is not in RAM");
        }
        chain.add(address, length, writable);
      }
      if ((flags & FLAG_NEXT) == 0) {
        return true;
      }
      if (next >= tableSize) {
        return fail("descriptor " + next + " of " + tableSize);
      }
      current = next;
    }
  }

  /** Gives a request back to the driver; {@link #publish} makes it and those before it visible. */
  public void put(int head, long writtenBytes) {
    if (broken || !enabled) {
      return;
    }
    long entry = deviceArea + 4 + 8L * (usedIndex & (size - 1));
    if (!memory.isRam(entry)) {
      fail("used ring is not in RAM");
      return;
    }
    memory.putInt(entry, head);
    memory.putInt(entry + 4, (int) writtenBytes);
    memory.announceWrite(entry, 8);
    usedIndex = (usedIndex + 1) & 0xFFFF;
  }

  /** Moves the used index over everything that was put. */
  public void publish() {
    if (broken || !enabled || publishedIndex == usedIndex || !memory.isRam(deviceArea)) {
      return;
    }
    VarHandle.releaseFence();
    memory.putShort(deviceArea + 2, (short) usedIndex);
    memory.announceWrite(deviceArea + 2, 2);
    publishedIndex = usedIndex;
  }

  /** {@link #put} and {@link #publish} of one request. */
  public void complete(int head, long writtenBytes) {
    put(head, writtenBytes);
    publish();
  }

  /**
   * Whether the driver wants to be told of what was published since the last call that said so
   * (§2.7.7). Asked once after a batch; a true answer must be followed by an interrupt.
   */
  boolean interruptWanted() {
    if (broken || !enabled) {
      return false;
    }
    // The driver stores its wish and then looks at the index; we stored the index and now look at
    // the wish.
    VarHandle.fullFence();
    int old = signalledIndex;
    boolean known = signalledKnown;
    if (known && old == publishedIndex) {
      return false;
    }
    signalledIndex = publishedIndex;
    signalledKnown = true;
    if (!eventIndex) {
      return (memory.getShort(driverArea) & AVAILABLE_NO_INTERRUPT) == 0;
    }
    int event = memory.getShort(driverArea + 4 + 2L * size) & 0xFFFF;
    return !known || ((publishedIndex - event - 1) & 0xFFFF) < ((publishedIndex - old) & 0xFFFF);
  }

  /**
   * Asks the driver not to notify while the device is looking at the queue anyway. Only ever a
   * hint.
   */
  public void suppressNotifications() {
    if (!broken && enabled && !eventIndex) {
      setUsedFlags(USED_NO_NOTIFY);
    }
  }

  /**
   * Asks the driver to notify of the next request.
   *
   * @return false when a request has arrived meanwhile, for which no notification need come
   */
  public boolean requestNotifications() {
    return requestNotificationsBeyond(0);
  }

  /**
   * Asks the driver to notify when more than {@code known} requests wait, which are too few to go
   * on with.
   *
   * @return false when that is so already
   */
  public boolean requestNotificationsBeyond(int known) {
    if (broken || !enabled) {
      return true;
    }
    if (eventIndex) {
      long event = deviceArea + 4 + 8L * size;
      if (memory.isRam(event)) {
        memory.putShort(event, (short) (lastAvailable + known));
        memory.announceWrite(event, 2);
      }
    } else {
      setUsedFlags(0);
    }
    VarHandle.fullFence();
    return waiting() <= known;
  }

  private void setUsedFlags(int flags) {
    if (memory.isRam(deviceArea)) {
      memory.putShort(deviceArea, (short) flags);
      memory.announceWrite(deviceArea, 2);
    }
  }

  // ---- state
  // --------------------------------------------------------------------------------------------------------

  void save(StateWriter out) {
    out.putInt(size).putLong(descriptorTable).putLong(driverArea).putLong(deviceArea);
    out.putInt(vector).putBoolean(enabled).putBoolean(broken);
    out.putBoolean(indirectAllowed).putBoolean(eventIndex);
    out.putInt(lastAvailable).putInt(usedIndex).putInt(publishedIndex);
    out.putInt(signalledIndex).putBoolean(signalledKnown);
  }

  void restore(StateReader in) {
    size = in.getInt();
    descriptorTable = in.getLong();
    driverArea = in.getLong();
    deviceArea = in.getLong();
    vector = in.getInt() & 0xFFFF;
    enabled = in.getBoolean();
    broken = in.getBoolean();
    indirectAllowed = in.getBoolean();
    eventIndex = in.getBoolean();
    lastAvailable = in.getInt() & 0xFFFF;
    usedIndex = in.getInt() & 0xFFFF;
    publishedIndex = in.getInt() & 0xFFFF;
    signalledIndex = in.getInt() & 0xFFFF;
    signalledKnown = in.getBoolean();
    if (enabled && !broken && (Integer.bitCount(size) != 1 || size < 1 || size > maximumSize)) {
      throw new StateException(
          "queue " + index + " has size " + size + " in the state; at most " + maximumSize);
    }
  }
}
