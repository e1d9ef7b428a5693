package io.anillo.cli.storage;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.image.Images;
import io.anillo.storage.nbd.NbdAddress;
import io.anillo.storage.nbd.NbdClient;
import io.anillo.storage.nbd.NbdExport;
import io.anillo.storage.nbd.NbdExports;
import io.anillo.storage.nbd.NbdServer;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Commands on disks that are being served. */
class ServedDiskTest {
  private static final long BEFORE = 8 << 20;
  private static final long AFTER = 12 << 20;

  @TempDir Path folder;

  private NbdClient connect() throws IOException {
    return NbdClient.connect(NbdAddress.unix(folder.resolve("s"), "disk"), Duration.ZERO);
  }

  @ParameterizedTest
  @ValueSource(strings = {"qcow2", "raw"})
  void clientsSeeTheNewSize(String format) throws IOException {
    String file = folder.resolve("disk").toString();
    CommandLine disk = new CommandLine(new DiskCommand());
    assertThat(disk.execute("create", file, "8M", "--format", format)).isZero();
    NbdExports exports = new NbdExports();
    try (BlockDevice image = Images.open(Path.of(file), Images.Options.READ_WRITE)) {
      exports.put(new NbdExport("disk", "", image, false));
      try (NbdServer server =
              NbdServer.start(
                  UnixDomainSocketAddress.of(folder.resolve("s")), exports, Optional.empty());
          NbdClient old = connect()) {
        assertThat(old.sizeBytes()).isEqualTo(BEFORE);
        String uri = "nbd+unix:///disk?socket=" + folder.resolve("s");
        assertThat(disk.execute("resize", uri, "12M")).isZero();
        ByteBuffer data = ByteBuffer.allocate(4096).putInt(0, 0x12345678);
        try (NbdClient later = connect()) {
          assertThat(later.sizeBytes()).isEqualTo(AFTER);
          later.write(AFTER - data.capacity(), data.duplicate());
          later.flush();
        }
        // who was there before goes on as before
        old.write(BEFORE - data.capacity(), data.duplicate());
        assertThat(server.connectionCount()).isPositive();
      }
      ByteBuffer end = ByteBuffer.allocate(4096);
      image.read(AFTER - end.capacity(), end);
      assertThat(end.getInt(0)).isEqualTo(0x12345678);
    }
    assertThat(disk.execute("info", file)).isZero();
  }

  @Test
  void whatIsServedIsNotResizedBehindTheServersBack() throws IOException {
    String file = folder.resolve("disk").toString();
    CommandLine disk = new CommandLine(new DiskCommand());
    assertThat(disk.execute("create", file, "8M")).isZero();
    try (BlockDevice image = Images.open(Path.of(file), Images.Options.READ_WRITE)) {
      assertThat(StorageMistakesTest.mistake(new DiskCommand(), "resize", file, "12M"))
          .isEqualTo("anillo: " + file + " is in use already; stop what uses it first");
      assertThat(image.sizeBytes()).isEqualTo(BEFORE);
    }
  }
}
