package io.anillo.storage.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** Another device without the possibility to change it. */
public record ReadOnlyDevice(BlockDevice device) implements BlockDevice {
  @Override
  public long sizeBytes() {
    return device.sizeBytes();
  }

  @Override
  public int preferredBlockBytes() {
    return device.preferredBlockBytes();
  }

  @Override
  public boolean readOnly() {
    return true;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    device.read(offset, destination);
  }

  private static IOException refused() {
    return new IOException("the disk is read-only");
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    throw refused();
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    throw refused();
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    throw refused();
  }

  @Override
  public void flush() {}

  @Override
  public Extent status(long offset, long length) throws IOException {
    return device.status(offset, length);
  }

  @Override
  public void prefetch(long offset, long length) throws IOException {
    device.prefetch(offset, length);
  }

  @Override
  public boolean transfersDirectly() {
    return device.transfersDirectly();
  }

  @Override
  public long transferTo(long offset, long length, WritableByteChannel target) throws IOException {
    return device.transferTo(offset, length, target);
  }

  @Override
  public void close() throws IOException {
    device.close();
  }
}
