package io.anillo.vmm.device.virtio.guest;

import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The driver's side of a split virtqueue (virtio 1.2 §2.7.13). */
public final class GuestQueue {
  /** A buffer in guest memory. */
  public record Buffer(long address, int length) {}

  /** A request that the device has given back. */
  public record Used(int head, int writtenBytes) {}

  public static final int NEXT = 1;
  public static final int WRITE = 2;
  public static final int INDIRECT = 4;

  private final GuestMemory memory;
  public final int index;
  public final int size;
  public final long table;
  public final long available;
  public final long used;
  private final long indirectArea;
  private final Runnable doorbell;
  private final boolean eventIndex;
  private final ArrayDeque<Integer> free = new ArrayDeque<>();
  private final List<@Nullable List<Integer>> owned = new ArrayList<>();
  public boolean indirect;
  private int availableIndex;
  private int kickedIndex;
  private int usedIndex;
  public long kicks;

  static final int BYTES = 1 << 20;
  private static final int INDIRECT_ENTRIES = 32;

  GuestQueue(
      GuestMemory memory, int index, int size, long area, boolean eventIndex, Runnable doorbell) {
    this.memory = memory;
    this.index = index;
    this.size = size;
    this.table = area;
    this.available = area + 16L * size;
    this.used = area + 16L * size + 0x1000;
    this.indirectArea = area + 0x10000;
    this.eventIndex = eventIndex;
    this.doorbell = doorbell;
    for (int i = 0; i < size; i++) {
      free.add(i);
      owned.add(null);
    }
    memory.fill(area, BYTES, (byte) 0);
  }

  public int freeDescriptors() {
    return free.size();
  }

  /** Writes a descriptor. */
  public void describe(
      long tableAddress, int entry, long address, int length, int flags, int next) {
    long at = tableAddress + 16L * entry;
    memory.putLong(at, address);
    memory.putInt(at + 8, length);
    memory.putShort(at + 12, (short) flags);
    memory.putShort(at + 14, (short) next);
  }

  /** Makes a request available, without telling the device. */
  public int add(List<Buffer> readable, List<Buffer> writable) {
    int count = readable.size() + writable.size();
    List<Integer> entries = new ArrayList<>();
    if (indirect) {
      int head = free.remove();
      entries.add(head);
      long sub = indirectArea + 16L * INDIRECT_ENTRIES * head;
      for (int i = 0; i < count; i++) {
        boolean write = i >= readable.size();
        Buffer buffer = write ? writable.get(i - readable.size()) : readable.get(i);
        describe(
            sub,
            i,
            buffer.address,
            buffer.length,
            (write ? WRITE : 0) | (i < count - 1 ? NEXT : 0),
            i + 1);
      }
      describe(table, head, sub, 16 * count, INDIRECT, 0);
    } else {
      for (int i = 0; i < count; i++) {
        entries.add(free.remove());
      }
      for (int i = 0; i < count; i++) {
        boolean write = i >= readable.size();
        Buffer buffer = write ? writable.get(i - readable.size()) : readable.get(i);
        int flags = (write ? WRITE : 0) | (i < count - 1 ? NEXT : 0);
        describe(
            table,
            entries.get(i),
            buffer.address,
            buffer.length,
            flags,
            i < count - 1 ? entries.get(i + 1) : 0);
      }
    }
    int head = entries.getFirst();
    owned.set(head, entries);
    offer(head);
    return head;
  }

  /** Puts a head into the available ring, whatever it is. */
  public void offer(int head) {
    memory.putShort(available + 4 + 2L * (availableIndex & (size - 1)), (short) head);
    availableIndex = (availableIndex + 1) & 0xFFFF;
    memory.putShort(available + 2, (short) availableIndex);
  }

  /** Rings the doorbell if the device wants it, as a real driver does. */
  public void kick() {
    boolean wanted;
    if (eventIndex) {
      int event = memory.getShort(used + 4 + 8L * size) & 0xFFFF;
      wanted = ((availableIndex - event - 1) & 0xFFFF) < ((availableIndex - kickedIndex) & 0xFFFF);
    } else {
      wanted = (memory.getShort(used) & 1) == 0;
    }
    kickedIndex = availableIndex;
    if (wanted) {
      ring();
    }
  }

  public void ring() {
    kicks++;
    doorbell.run();
  }

  /**
   * Takes the next request that the device has used; asks to be interrupted for the one after it.
   */
  public @Nullable Used take() {
    int deviceIndex = memory.getShort(used + 2) & 0xFFFF;
    if (deviceIndex == usedIndex) {
      return null;
    }
    long entry = used + 4 + 8L * (usedIndex & (size - 1));
    Used result = new Used(memory.getInt(entry), memory.getInt(entry + 4));
    usedIndex = (usedIndex + 1) & 0xFFFF;
    setUsedEvent(usedIndex);
    List<Integer> entries = owned.get(result.head);
    if (entries == null) {
      throw new AssertionError("the device used head " + result.head + ", which it does not own");
    }
    owned.set(result.head, null);
    free.addAll(entries);
    return result;
  }

  /** Number of requests used since the queue was made, modulo 65536. */
  public int deviceUsedIndex() {
    return memory.getShort(used + 2) & 0xFFFF;
  }

  public void setUsedEvent(int value) {
    memory.putShort(available + 4 + 2L * size, (short) value);
  }

  public void setInterruptsWanted(boolean wanted) {
    memory.putShort(available, (short) (wanted ? 0 : 1));
  }

  /** Moves to another board's memory, which holds the same bytes: after a restore. */
  GuestQueue continueOn(GuestMemory otherMemory, Runnable otherDoorbell) {
    byte[] area = new byte[BYTES];
    otherMemory.read(table, area, 0, BYTES);
    GuestQueue queue = new GuestQueue(otherMemory, index, size, table, eventIndex, otherDoorbell);
    otherMemory.write(table, area, 0, BYTES);
    queue.free.clear();
    queue.free.addAll(free);
    for (int i = 0; i < size; i++) {
      queue.owned.set(i, owned.get(i));
    }
    queue.indirect = indirect;
    queue.availableIndex = availableIndex;
    queue.kickedIndex = kickedIndex;
    queue.usedIndex = usedIndex;
    return queue;
  }
}
