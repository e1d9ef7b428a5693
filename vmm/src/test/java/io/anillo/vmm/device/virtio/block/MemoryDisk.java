package io.anillo.vmm.device.virtio.block;

import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/** A disk in memory that counts flushes and fails in the sectors it is told to. */
final class MemoryDisk implements BlockBackend {
  private final byte[] bytes;
  private final boolean readOnly;
  final AtomicInteger flushes = new AtomicInteger();
  final AtomicInteger writes = new AtomicInteger();
  volatile long badOffset = -1;
  volatile int delayMillis;
  volatile boolean closed;

  MemoryDisk(int sizeBytes, boolean readOnly) {
    this.bytes = new byte[sizeBytes];
    this.readOnly = readOnly;
  }

  byte[] bytes() {
    return bytes;
  }

  @Override
  public long sizeBytes() {
    return bytes.length;
  }

  @Override
  public boolean readOnly() {
    return readOnly;
  }

  private void check(long offset, long length) throws IOException {
    if (delayMillis > 0) {
      try {
        Thread.sleep(delayMillis);
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
    if (offset < 0 || offset + length > bytes.length) {
      throw new IOException("beyond the end");
    }
    if (badOffset >= offset && badOffset < offset + length) {
      throw new IOException("bad sector");
    }
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    check(offset, destination.remaining());
    synchronized (this) {
      destination.put(bytes, (int) offset, destination.remaining());
    }
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    check(offset, source.remaining());
    writes.incrementAndGet();
    synchronized (this) {
      source.get(bytes, (int) offset, source.remaining());
    }
  }

  @Override
  public void flush() {
    flushes.incrementAndGet();
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    writeZeroes(offset, length, true);
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    check(offset, length);
    synchronized (this) {
      java.util.Arrays.fill(bytes, (int) offset, (int) (offset + length), (byte) 0);
    }
  }

  @Override
  public void close() {
    closed = true;
  }
}
