package io.anillo.storage.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** A disk that is an array. */
public final class MemoryDisk implements Disk {
  private final String name;
  private final byte[] bytes;

  public MemoryDisk(String name, byte[] bytes) {
    this.name = name;
    this.bytes = bytes;
  }

  private void requireInside(long offset, long length) throws IOException {
    if (offset < 0 || length < 0 || offset > bytes.length - length) {
      throw new IOException(name + " ends before byte " + (offset + length));
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long sizeBytes() {
    return bytes.length;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    requireInside(offset, destination.remaining());
    destination.put(bytes, (int) offset, destination.remaining());
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    requireInside(offset, source.remaining());
    source.get(bytes, (int) offset, source.remaining());
  }

  @Override
  public void flush() {}

  @Override
  public void punch(long offset, long length) throws IOException {
    zero(offset, length);
  }

  @Override
  public void zero(long offset, long length) throws IOException {
    requireInside(offset, length);
    Arrays.fill(bytes, (int) offset, (int) (offset + length), (byte) 0);
  }

  @Override
  public void resize(long sizeBytes) throws IOException {
    throw new IOException(name + " keeps its size");
  }

  @Override
  public void close() {}
}
