package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolEvent;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.ThinVolume;
import io.anillo.storage.pool.VolumeSpecification;
import io.anillo.vmm.machine.MachineConfig.Engine;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A guest that writes more than its pool holds stands still, and goes on when a disk is added. */
class FullPoolGuestTest {
  private static final long VOLUME_BYTES = 64 << 20;
  private static final int WRITTEN_MEGABYTES = 24;

  @TempDir Path folder;

  @Test
  void aFullPoolPausesTheWritingGuest() throws Exception {
    CountDownLatch full = new CountDownLatch(1);
    PoolOptions options =
        PoolOptions.DEFAULT.withListener(event -> {
          if (event.kind() == PoolEvent.Kind.FULL) {
            full.countDown();
          }
        });
    List<Disk> small = List.of(FileDisk.create(folder.resolve("small"), 20 << 20));
    try (Pool pool = Pool.create("pool", small, options)) {
      pool.createVolume(VolumeSpecification.of("volume", VOLUME_BYTES, Redundancy.NONE));
      ThinVolume volume = pool.openVolume("volume", Optional.empty());
      try (LinuxGuest guest =
          LinuxGuest.boot(
              config -> config.withEngine(Engine.TRANSLATE).withDisks(List.of(volume)))) {
        guest.console.expectShell();
        guest.console.send(
            "yes 'not a byte is lost' | dd of=/dev/vda bs=1M count=%d iflag=fullblock; sync; echo ended-$((1 + 1))\n"
                .formatted(WRITTEN_MEGABYTES));
        assertThat(full.await(240, TimeUnit.SECONDS)).as("the pool is full").isTrue();
        assertThat(guest.console.printed()).doesNotContain("ended-2").doesNotContain("I/O error");

        pool.addDisk(FileDisk.create(folder.resolve("more"), 40 << 20), false);
        guest.console.expect("ended-2");
        guest.console.expectPrompt();
        String sum =
            guest.console.run(
                "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/vda bs=1M count=%d 2>/dev/null | sha256sum"
                    .formatted(WRITTEN_MEGABYTES));
        assertThat(sum).startsWith(expectedSum());
        assertThat(guest.console.printed()).doesNotContain("I/O error");
      }
      assertThat(sum(volume)).isEqualTo(expectedSum());
      assertThat(pool.scrub().lost()).isZero();
    }
  }

  private static String expectedSum() throws Exception {
    byte[] line = "not a byte is lost\n".getBytes();
    byte[] all = new byte[WRITTEN_MEGABYTES << 20];
    for (int i = 0; i < all.length; i++) {
      all[i] = line[i % line.length];
    }
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(all));
  }

  private static String sum(ThinVolume volume) throws Exception {
    ByteBuffer all = ByteBuffer.allocate(WRITTEN_MEGABYTES << 20);
    volume.read(0, all);
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(all.array()));
  }
}
