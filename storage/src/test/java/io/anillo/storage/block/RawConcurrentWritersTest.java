package io.anillo.storage.block;

import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.disk.HesitantDisk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Writers to neighbouring ranges of a raw image, also of the blocks that direct access needs. */
class RawConcurrentWritersTest {
  private static final int OPERATIONS = 50 * Integer.getInteger("anillo.writers.rounds", 8);
  private static final int WRITERS = 5;

  /** Little, so that many meet; no multiple of a block. */
  private static final int BYTES = 300_000 / 512 * 512;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(
      value = FileDisk.Mode.class,
      names = {"READ_WRITE", "READ_WRITE_DIRECT"})
  void nobodysWriteIsLost(FileDisk.Mode mode) throws Exception {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed + " for " + mode);
    Path path = folder.resolve("disk.raw");
    FileDisk.create(path, BYTES).close();
    FileDisk file = open(path, mode);
    NeighbouringWriters writers = new NeighbouringWriters(new byte[BYTES], WRITERS, seed);
    try (BlockDevice raw = new RawImage(new HesitantDisk(file))) {
      writers.run(OPERATIONS, raw);
    }
    try (BlockDevice again = new RawImage(FileDisk.open(path, FileDisk.Mode.READ_ONLY))) {
      writers.verify(again);
    }
  }

  private static FileDisk open(Path path, FileDisk.Mode mode) throws IOException {
    FileDisk file;
    try {
      file = FileDisk.open(path, mode);
    } catch (IOException | UnsupportedOperationException refused) {
      Assumptions.abort("the file system of temporary files has no direct access");
      throw refused;
    }
    try {
      file.read(0, ByteBuffer.allocate(512));
      return file;
    } catch (IOException refused) {
      file.close();
      Assumptions.abort("the file system of temporary files has no direct access");
      throw refused;
    }
  }
}
