package io.anillo.storage.block;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;

/** A raw image: byte n of the file is byte n of the disk. Hot: see {@code anillo bench storage}. */
public final class RawImage implements BlockDevice {
  private final Disk disk;
  private volatile long sizeBytes;

  public RawImage(Disk disk) throws IOException {
    this.disk = disk;
    this.sizeBytes = disk.sizeBytes();
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return disk.readOnly();
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    requireInside(offset, destination.remaining());
    disk.read(offset, destination);
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    requireWritable();
    requireInside(offset, source.remaining());
    disk.write(offset, source);
  }

  @Override
  public void flush() throws IOException {
    if (!readOnly()) {
      disk.flush();
    }
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    requireWritable();
    requireInside(offset, length);
    disk.punch(offset, length);
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    requireWritable();
    requireInside(offset, length);
    if (mayUnmap) {
      disk.punch(offset, length);
    } else {
      disk.zero(offset, length);
    }
  }

  @Override
  public Extent status(long offset, long length) throws IOException {
    requireInside(offset, length);
    long data = disk.nextData(offset);
    if (data > offset) {
      return Extent.hole(Math.min(length, data - offset));
    }
    return Extent.data(Math.min(length, Math.max(1, disk.nextHole(offset) - offset)));
  }

  @Override
  public void resize(long newSizeBytes) throws IOException {
    requireWritable();
    disk.resize(newSizeBytes);
    sizeBytes = newSizeBytes;
  }

  @Override
  public boolean transfersDirectly() {
    return disk.transfersDirectly();
  }

  @Override
  public long transferTo(long offset, long length, WritableByteChannel target) throws IOException {
    requireInside(offset, length);
    return disk.transferTo(offset, length, target);
  }

  @Override
  public void close() throws IOException {
    disk.close();
  }
}
