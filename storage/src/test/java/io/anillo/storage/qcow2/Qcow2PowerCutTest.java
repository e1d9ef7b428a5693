package io.anillo.storage.qcow2;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.PowerCutDisk;
import io.anillo.storage.disk.PowerCutDisk.Power;
import io.anillo.storage.disk.PowerCutDisk.PowerCut;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cuts the power at random writes: what was flushed stays, and clusters at worst leak. */
class Qcow2PowerCutTest {
  private static final int SECTORS = 2048;
  private static final int CUTS = Integer.getInteger("anillo.cuts", 60);

  @ParameterizedTest
  @ValueSource(strings = {"plain", "lazy", "extended", "small"})
  void flushedDataOutlivesTheCut(String layout) throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    for (int i = 0; i < CUTS; i++) {
      cutOnce(layout, random, "cut " + i + " of seed " + seed);
    }
  }

  private static Qcow2Options options(String layout) {
    return switch (layout) {
      case "lazy" -> new Qcow2Options(3, 4096, 16, true, false, false, null, null);
      case "extended" -> new Qcow2Options(3, 16384, 16, false, true, false, null, null);
      case "small" -> new Qcow2Options(3, 512, 16, false, false, false, null, null);
      default -> new Qcow2Options(3, 4096, 16, false, false, false, null, null);
    };
  }

  private static void cutOnce(String layout, Random random, String what) throws IOException {
    PowerCutDisk disk = new PowerCutDisk("image", 0, new Power(Long.MAX_VALUE));
    Qcow2Creator.create(disk, SECTORS * 512L, options(layout));
    disk.restore(random, new Power(random.nextInt(400)));
    // per sector: the value that must be there, and those written since the last flush
    int[] flushed = new int[SECTORS];
    int[] latest = new int[SECTORS];
    boolean[] open = new boolean[SECTORS];
    int value = 0;
    try {
      Qcow2Image image = Qcow2Image.open(disk, null);
      while (true) {
        int sector = random.nextInt(SECTORS);
        int count = Math.min(SECTORS - sector, 1 + random.nextInt(24));
        switch (random.nextInt(10)) {
          case 0 -> {
            image.flush();
            for (int s = 0; s < SECTORS; s++) {
              flushed[s] = latest[s];
              open[s] = false;
            }
          }
          case 1 -> {
            mark(open, latest, sector, count, 0);
            image.writeZeroes(sector * 512L, count * 512L, random.nextBoolean());
          }
          default -> {
            value++;
            mark(open, latest, sector, count, value);
            ByteBuffer data = ByteBuffer.allocate(count * 512);
            while (data.hasRemaining()) {
              data.putInt(value);
            }
            image.write(sector * 512L, data.flip());
          }
        }
      }
    } catch (PowerCut expected) {
      disk.restore(random, new Power(Long.MAX_VALUE));
    }
    Qcow2Check.Result before = Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING);
    if (!layout.equals("lazy")) {
      assertThat(before.corruptions()).as(what + ": " + before.messages()).isZero();
    }
    Qcow2Image image = Qcow2Image.open(disk, null);
    ByteBuffer sector = ByteBuffer.allocate(512);
    for (int s = 0; s < SECTORS; s++) {
      image.read(s * 512L, sector.clear());
      if (!open[s]) {
        assertThat(sector.getInt(0)).as(what + ", sector " + s).isEqualTo(flushed[s]);
      }
    }
    image.close();
    Qcow2Check.run(disk, Qcow2Check.Repair.ALL);
    assertThat(Qcow2Check.run(disk, Qcow2Check.Repair.NOTHING).clean()).as(what).isTrue();
  }

  private static void mark(boolean[] open, int[] latest, int sector, int count, int value) {
    for (int s = sector; s < sector + count; s++) {
      open[s] = true;
      latest[s] = value;
    }
  }
}
