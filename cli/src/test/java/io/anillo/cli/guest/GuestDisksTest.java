package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.cli.MachineDisksOpener;
import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.image.Images;
import io.anillo.storage.nbd.NbdExport;
import io.anillo.storage.nbd.NbdExports;
import io.anillo.storage.nbd.NbdServer;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.VolumeSpecification;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Options;
import io.anillo.vmm.port.BlockBackend;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A guest on a qcow2 image, an NBD export and a mirrored volume, as {@code --disk} opens them. */
class GuestDisksTest {
  private static final long BYTES = 32 << 20;

  @TempDir Path folder;

  @Test
  void guestsKeepTheirDataOnDisksOfAllKinds() throws Exception {
    Path image = folder.resolve("disk.qcow2");
    try (FileDisk disk = FileDisk.create(image, 0)) {
      Qcow2Creator.create(disk, BYTES, Qcow2Options.DEFAULT);
    }
    List<io.anillo.storage.disk.Disk> poolDisks = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      poolDisks.add(FileDisk.create(folder.resolve("p" + i), 80 << 20));
    }
    try (Pool pool = Pool.create("pool", poolDisks, PoolOptions.DEFAULT)) {
      pool.createVolume(VolumeSpecification.of("volume", BYTES, Redundancy.mirror(2)));
    }
    Path socket = folder.resolve("s");
    NbdExports exports = new NbdExports();
    String volume = "volume:volume,pool=" + folder.resolve("p0") + ",pool=" + folder.resolve("p1");
    String export = "nbd+unix:///disk?socket=" + socket;
    try (RawImage raw = new RawImage(FileDisk.create(folder.resolve("raw"), BYTES));
        NbdServer server =
            NbdServer.start(UnixDomainSocketAddress.of(socket), exports, Optional.empty())) {
      exports.put(new NbdExport("disk", "", raw, false));
      List<BlockBackend> disks = MachineDisksOpener.open(List.of(image.toString(), export, volume));
      try (LinuxGuest guest = LinuxGuest.boot(config -> config.withDisks(disks))) {
        guest.console.expectShell();
        for (String disk : List.of("vda", "vdb", "vdc")) {
          guest.console.run(
              "echo kept by %s | dd of=/dev/%s bs=512 seek=4000 conv=notrunc,fsync"
                  .formatted(disk, disk));
        }
        String sums = guest.console.run("cat /sys/block/vd?/size");
        assertThat(sums.lines()).containsExactly("65536", "65536", "65536");
      }
      for (BlockBackend disk : disks) {
        disk.close();
      }
      assertThat(server.connectionCount()).isBetween(0, 1);
    }
    List<String> found = new ArrayList<>();
    for (String location : List.of(image.toString(), folder.resolve("raw").toString())) {
      try (BlockDevice device = Images.open(location, Images.Options.READ_ONLY)) {
        found.add(text(device));
      }
    }
    List<BlockBackend> again = MachineDisksOpener.open(List.of(volume + ",readonly"));
    found.add(text(again.getFirst()));
    again.getFirst().close();
    assertThat(found).containsExactly("kept by vda", "kept by vdb", "kept by vdc");
  }

  private static String text(BlockBackend device) throws Exception {
    ByteBuffer bytes = ByteBuffer.allocate(11);
    device.read(4000 * 512, bytes);
    return new String(bytes.array(), StandardCharsets.US_ASCII);
  }
}
