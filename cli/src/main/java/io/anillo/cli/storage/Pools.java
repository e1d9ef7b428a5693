package io.anillo.cli.storage;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolEvent;
import io.anillo.storage.pool.PoolOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Opens pools from files and devices; what happens in them is told on the standard error. */
public final class Pools {
  private Pools() {}

  /** A pool that this process has open, and through which others work on it. */
  public static final class OpenPool implements AutoCloseable {
    private final Pool pool;
    private final PoolControl control;

    private OpenPool(Pool pool, PoolControl control) {
      this.pool = pool;
      this.control = control;
    }

    public Pool pool() {
      return pool;
    }

    PoolControl control() {
      return control;
    }

    /** Ends once commands of others that are under way have ended. */
    @Override
    public void close() throws IOException {
      control.close();
      pool.close();
    }
  }

  /**
   * Opens a pool, and takes commands on it from other processes until it is closed.
   *
   * @param degraded even if disks are missing
   */
  public static OpenPool open(List<Path> files, boolean degraded) throws IOException {
    PoolOptions options = PoolOptions.DEFAULT.withListener(Pools::tell);
    List<Disk> disks = openDisks(files);
    Pool pool;
    try {
      pool = Pool.open(disks, degraded ? options.withMissing() : options);
    } catch (IOException failure) {
      close(disks);
      throw failure;
    }
    try {
      return new OpenPool(pool, PoolControl.listen(pool));
    } catch (IOException failure) {
      pool.close();
      throw failure;
    }
  }

  static void close(List<Disk> disks) throws IOException {
    for (Disk disk : disks) {
      disk.close();
    }
  }

  static List<Disk> openDisks(List<Path> files) throws IOException {
    List<Disk> disks = new ArrayList<>();
    try {
      for (Path file : files) {
        disks.add(FileDisk.open(file, FileDisk.Mode.READ_WRITE));
      }
    } catch (IOException failure) {
      close(disks);
      throw failure;
    }
    return disks;
  }

  static void tell(PoolEvent event) {
    System.err.println(
        event.kind().name().toLowerCase(Locale.ROOT).replace('_', ' ')
            + ": "
            + event.subject()
            + ": "
            + event.message());
  }
}
