package io.anillo.storage.block;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Several threads change one disk at the same time, each inside strips of its own that lie between
 * those of the others: no byte has two writers, so it is known at any time what it has to be. The
 * strips are far shorter than a cluster, and one more thread flushes all the while.
 */
public final class NeighbouringWriters {
  private static final int LONGEST_STRIP_BYTES = 40_000;

  private record Strip(int start, int length) {}

  private final long seed;
  private final byte[] model;
  private final List<List<Strip>> stripsOf = new ArrayList<>();

  /**
   * @param contents what the disk reads as now; kept up to date with what is written
   * @throws IllegalArgumentException if there may be fewer strips than writers
   */
  public NeighbouringWriters(byte[] contents, int writers, long seed) {
    if (contents.length < writers * LONGEST_STRIP_BYTES) {
      throw new IllegalArgumentException(contents.length + " bytes for " + writers + " writers");
    }
    this.model = contents;
    this.seed = seed;
    for (int i = 0; i < writers; i++) {
      stripsOf.add(new ArrayList<>());
    }
    Random random = new Random(seed);
    int owner = 0;
    int given = 0; // the first strips go round, so that no writer is left without one
    for (int at = 0; at < contents.length; ) {
      int length =
          random.nextInt(4) == 0
              ? 1 + random.nextInt(LONGEST_STRIP_BYTES)
              : 512 * (1 + random.nextInt(LONGEST_STRIP_BYTES / 512));
      length = Math.min(length, contents.length - at);
      owner =
          given < writers
              ? given
              : (owner + 1 + random.nextInt(Math.max(1, writers - 1))) % writers;
      stripsOf.get(owner).add(new Strip(at, length));
      given++;
      at += length;
    }
  }

  /** Something that happens again and again while the writers write. */
  @FunctionalInterface
  public interface Beside {
    void run() throws IOException;
  }

  /**
   * Lets every writer do so many operations, with flushes beside them; all bytes are compared at
   * the end.
   *
   * @param devices ways to the same disk; the writers share them out
   */
  public void run(int operations, BlockDevice... devices) throws Exception {
    runBeside(() -> {}, operations, devices);
  }

  /** The same with something that changes no byte beside the writers and flushes. */
  public void runBeside(Beside beside, int operations, BlockDevice... devices) throws Exception {
    AtomicBoolean finished = new AtomicBoolean();
    try (ExecutorService threads = Executors.newFixedThreadPool(stripsOf.size() + 2)) {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < stripsOf.size(); i++) {
        List<Strip> strips = stripsOf.get(i);
        Random random = new Random(seed + 1 + i);
        BlockDevice device = devices[i % devices.length];
        Callable<Object> writer =
            () -> {
              for (int done = 0; done < operations; done++) {
                operate(device, strips.get(random.nextInt(strips.size())), random);
              }
              return random;
            };
        writers.add(threads.submit(writer));
      }
      Future<?> flushes = threads.submit(repeat(devices[0]::flush, finished));
      Future<?> others = threads.submit(repeat(beside, finished));
      try {
        for (Future<?> writer : writers) {
          writer.get();
        }
      } finally {
        finished.set(true);
      }
      flushes.get();
      others.get();
    } catch (ExecutionException failure) {
      throw new AssertionError("with seed " + seed + ": " + failure.getCause(), failure.getCause());
    }
    for (BlockDevice device : devices) {
      verify(device);
    }
  }

  private static Callable<Object> repeat(Beside action, AtomicBoolean finished) {
    return () -> {
      while (!finished.get()) {
        action.run();
        // otherwise one that has nothing to do would keep a processor busy
        TimeUnit.MICROSECONDS.sleep(100);
      }
      return finished;
    };
  }

  private void operate(BlockDevice device, Strip strip, Random random) throws IOException {
    int first = random.nextInt(3) == 0 ? random.nextInt(strip.length) : 0;
    int left = strip.length - first;
    int length = random.nextInt(3) == 0 ? 1 + random.nextInt(left) : left;
    int offset = strip.start + first;
    switch (random.nextInt(10)) {
      case 0 -> {
        device.writeZeroes(offset, length, random.nextBoolean());
        Arrays.fill(model, offset, offset + length, (byte) 0);
      }
      case 1 -> {
        device.discard(offset, length);
        System.arraycopy(read(device, offset, length), 0, model, offset, length);
      }
      case 2, 3 -> compare(device, offset, length);
      case 4 -> device.writeThrough(offset, ByteBuffer.wrap(contents(offset, length, random)));
      default -> device.write(offset, ByteBuffer.wrap(contents(offset, length, random)));
    }
  }

  /** New bytes, none of them zero, for a range of the model. */
  private byte[] contents(int offset, int length, Random random) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    for (int i = 0; i < length; i++) {
      bytes[i] |= 1;
    }
    System.arraycopy(bytes, 0, model, offset, length);
    return bytes;
  }

  private static byte[] read(BlockDevice device, int offset, int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    device.read(offset, bytes);
    return bytes.array();
  }

  private void compare(BlockDevice device, int offset, int length) throws IOException {
    byte[] bytes = read(device, offset, length);
    int mismatch = Arrays.mismatch(bytes, 0, length, model, offset, offset + length);
    if (mismatch >= 0) {
      int last = length - 1;
      while (bytes[last] == model[offset + last]) {
        last--;
      }
      throw new AssertionError(
          "bytes %d to %d are wrong; the first is %d, not %d (seed %d)"
              .formatted(
                  offset + mismatch,
                  offset + last,
                  bytes[mismatch],
                  model[offset + mismatch],
                  seed));
    }
  }

  /** Compares all bytes with what was last written. */
  public void verify(BlockDevice device) throws IOException {
    compare(device, 0, model.length);
  }
}
