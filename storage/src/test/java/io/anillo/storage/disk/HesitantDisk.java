package io.anillo.storage.disk;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;

/**
 * A disk that now and then waits before or after what it does, so that threads which use it at the
 * same time meet in orders that are rare otherwise. Its flush only waits: nobody cuts its power.
 */
public final class HesitantDisk implements Disk {
  private static final int LONGEST_WAIT_NANOS = 300_000;

  private final Disk disk;

  public HesitantDisk(Disk disk) {
    this.disk = disk;
  }

  private static void hesitate() {
    ThreadLocalRandom random = ThreadLocalRandom.current();
    if (random.nextInt(6) == 0) {
      LockSupport.parkNanos(random.nextInt(LONGEST_WAIT_NANOS));
    }
  }

  /** Something that the disk does. */
  @FunctionalInterface
  private interface Action {
    void run() throws IOException;
  }

  private static void hesitantly(Action action) throws IOException {
    hesitate();
    action.run();
    hesitate();
  }

  @Override
  public String name() {
    return disk.name();
  }

  @Override
  public long sizeBytes() throws IOException {
    long size = disk.sizeBytes();
    hesitate();
    return size;
  }

  @Override
  public boolean readOnly() {
    return disk.readOnly();
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    hesitantly(() -> disk.read(offset, destination));
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    hesitantly(() -> disk.write(offset, source));
  }

  @Override
  public void flush() {
    hesitate();
  }

  @Override
  public void punch(long offset, long length) throws IOException {
    hesitantly(() -> disk.punch(offset, length));
  }

  @Override
  public void zero(long offset, long length) throws IOException {
    hesitantly(() -> disk.zero(offset, length));
  }

  @Override
  public void resize(long sizeBytes) throws IOException {
    hesitantly(() -> disk.resize(sizeBytes));
  }

  @Override
  public void close() throws IOException {
    disk.close();
  }
}
