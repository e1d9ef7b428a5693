package io.anillo.storage.disk;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * A disk in memory whose power can be cut. What was not flushed is then kept, lost or torn sector
 * by sector, as chance wants it. Several disks may share one {@link Power}.
 */
public final class PowerCutDisk implements Disk {
  /** The supply of one or more disks: fails at a given write or flush. */
  public static final class Power {
    private long operationsLeft;
    private long operations;
    private boolean off;

    public Power(long operationsLeft) {
      this.operationsLeft = operationsLeft;
    }

    synchronized void use() throws PowerCut {
      if (off || operationsLeft == 0) {
        off = true;
        throw new PowerCut();
      }
      operationsLeft--;
      operations++;
    }

    public synchronized void cut() {
      off = true;
    }

    public synchronized boolean isOff() {
      return off;
    }

    /** Writes and flushes so far. */
    public synchronized long operations() {
      return operations;
    }
  }

  /** The power is gone. */
  public static final class PowerCut extends IOException {
    private static final long serialVersionUID = 1;

    PowerCut() {
      super("the power was cut");
    }
  }

  private record Write(long offset, byte[] data) {}

  private final String name;
  private Power power;
  private byte[] durable;
  private byte[] present;
  private int size;
  private List<Write> pending = new ArrayList<>();

  public PowerCutDisk(String name, int sizeBytes, Power power) {
    this.name = name;
    this.power = power;
    this.size = sizeBytes;
    this.durable = new byte[sizeBytes];
    this.present = new byte[sizeBytes];
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public synchronized long sizeBytes() {
    return size;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public synchronized void read(long offset, ByteBuffer destination) throws IOException {
    if (power.isOff()) {
      throw new PowerCut();
    }
    if (offset + destination.remaining() > size) {
      throw new EOFException("beyond the end");
    }
    destination.put(present, (int) offset, destination.remaining());
  }

  @Override
  public synchronized void write(long offset, ByteBuffer source) throws IOException {
    byte[] data = new byte[source.remaining()];
    source.get(data);
    apply(offset, data);
  }

  private void apply(long offset, byte[] data) throws IOException {
    int end = Math.toIntExact(offset + data.length);
    if (end > size) {
      grow(end);
    }
    if (power.isOff()) {
      throw new PowerCut();
    }
    // the write under way when the power fails may still reach the disk in part
    pending.add(new Write(offset, data));
    power.use();
    System.arraycopy(data, 0, present, (int) offset, data.length);
  }

  private void grow(int newSize) {
    if (newSize > present.length) {
      int capacity = Math.max(newSize, present.length + present.length / 2);
      present = Arrays.copyOf(present, capacity);
      durable = Arrays.copyOf(durable, capacity);
    }
    size = newSize;
  }

  @Override
  public synchronized void flush() throws IOException {
    power.use();
    for (Write write : pending) {
      System.arraycopy(write.data, 0, durable, (int) write.offset, write.data.length);
    }
    pending = new ArrayList<>();
  }

  @Override
  public synchronized void punch(long offset, long length) throws IOException {
    long end = Math.min(size, offset + length);
    if (end > offset) {
      apply(offset, new byte[(int) (end - offset)]);
    }
  }

  @Override
  public void zero(long offset, long length) throws IOException {
    punch(offset, length);
  }

  @Override
  public synchronized void resize(long sizeBytes) throws IOException {
    power.use();
    int newSize = Math.toIntExact(sizeBytes);
    if (newSize < size) {
      Arrays.fill(present, newSize, size, (byte) 0);
      Arrays.fill(durable, newSize, size, (byte) 0);
      pending.removeIf(write -> write.offset + write.data.length > newSize);
    }
    grow(newSize);
  }

  @Override
  public void close() {}

  /** Settles what the cut left on the disk, and turns the power on again. */
  public synchronized void restore(Random random, Power newPower) {
    int mode = random.nextInt(4);
    for (Write write : pending) {
      boolean wholeKept = random.nextBoolean();
      for (int at = 0; at < write.data.length; ) {
        int sectorEnd = (int) ((((write.offset + at) / SECTOR_BYTES) + 1) * SECTOR_BYTES);
        int count = (int) Math.min(write.data.length - at, sectorEnd - write.offset - at);
        boolean kept =
            switch (mode) {
              case 0 -> true;
              case 1 -> false;
              case 2 -> wholeKept;
              default -> random.nextBoolean();
            };
        if (kept) {
          System.arraycopy(write.data, at, durable, (int) write.offset + at, count);
        }
        at += count;
      }
    }
    pending = new ArrayList<>();
    present = durable.clone();
    power = newPower;
  }

  /** Flips bits behind everyone's back. */
  public synchronized void corrupt(long offset, int length, Random random) {
    for (int i = 0; i < length; i++) {
      byte flip = (byte) (1 + random.nextInt(255));
      present[(int) offset + i] ^= flip;
      durable[(int) offset + i] ^= flip;
    }
  }

  /** A copy of what a reader sees. */
  public synchronized byte[] contents() {
    return Arrays.copyOf(present, size);
  }
}
