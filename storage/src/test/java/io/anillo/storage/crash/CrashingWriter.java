package io.anillo.storage.crash;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.Images;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.qcow2.Qcow2Image;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/**
 * A process that writes until it is killed, and says what it is about to write and what it has
 * flushed. Arguments: {@code qcow2} or {@code pool}, a seed, the files.
 */
public final class CrashingWriter {
  static final int BLOCK = 4096;
  static final int BLOCKS = 400;

  private CrashingWriter() {}

  public static void main(String[] arguments) throws IOException {
    Random random = new Random(Long.parseLong(arguments[1]));
    List<Path> files = new ArrayList<>();
    for (int i = 2; i < arguments.length; i++) {
      files.add(Path.of(arguments[i]));
    }
    if (arguments[0].equals("qcow2")) {
      Qcow2Image image = (Qcow2Image) Images.open(files.getFirst(), Images.Options.READ_WRITE);
      write(image, random, name -> image.snapshots().create(name));
      return;
    }
    List<Disk> disks = new ArrayList<>();
    for (Path file : files) {
      disks.add(FileDisk.open(file, FileDisk.Mode.READ_WRITE));
    }
    Pool pool = Pool.open(disks, PoolOptions.DEFAULT);
    write(
        pool.openVolume("volume", Optional.empty()), random, name -> pool.snapshot("volume", name));
  }

  private interface Snapshots {
    void take(String name) throws IOException;
  }

  private static void write(BlockDevice device, Random random, Snapshots snapshots)
      throws IOException {
    PrintStream out = System.out;
    for (int value = 1; ; value++) {
      int block = random.nextInt(BLOCKS);
      switch (random.nextInt(12)) {
        case 0, 1 -> {
          device.flush();
          say(out, "flushed");
        }
        case 2 -> {
          if (random.nextInt(6) > 0) {
            continue;
          }
          String name = "s" + System.nanoTime();
          snapshots.take(name);
          say(out, "snapshot " + name);
        }
        case 3 -> {
          say(out, "write " + block + " 0");
          device.writeZeroes((long) block * BLOCK, BLOCK, true);
        }
        default -> {
          say(out, "write " + block + " " + value);
          ByteBuffer data = ByteBuffer.allocateDirect(BLOCK);
          while (data.hasRemaining()) {
            data.putInt(value);
          }
          device.write((long) block * BLOCK, data.flip());
        }
      }
    }
  }

  private static void say(PrintStream out, String line) {
    out.println(line);
    out.flush();
  }
}
