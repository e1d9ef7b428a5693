package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.RawImage;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.peer.Peer;
import io.anillo.storage.qcow2.Qcow2Creator;
import io.anillo.storage.qcow2.Qcow2Image;
import io.anillo.storage.qcow2.Qcow2Options;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Other people's NBD clients against our server. */
class NbdServerPeersTest {
  private static final int CONVERSATIONS = Integer.getInteger("anillo.fuzz.rounds", 300);

  private static final long SIZE = 32 << 20;

  @TempDir Path folder;
  private BlockDevice raw = failing();
  private BlockDevice qcow2 = failing();
  private final NbdExports exports = new NbdExports();

  private static BlockDevice failing() {
    try {
      Path empty = Files.createTempFile("anillo", ".raw");
      BlockDevice device = new RawImage(FileDisk.open(empty, FileDisk.Mode.READ_ONLY));
      Files.delete(empty);
      return device;
    } catch (IOException failure) {
      throw new IllegalStateException(failure);
    }
  }

  @BeforeEach
  void makeDisks() throws IOException {
    raw = new RawImage(FileDisk.create(folder.resolve("disk.raw"), SIZE));
    FileDisk file = FileDisk.create(folder.resolve("disk.qcow2"), 0);
    Qcow2Creator.create(file, SIZE, Qcow2Options.DEFAULT);
    qcow2 = Qcow2Image.open(file, null);
    exports.put(new NbdExport("raw", "a raw file", raw, false));
    exports.put(new NbdExport("qcow2", "", qcow2, false));
    exports.put(new NbdExport("fixed", "", raw, true));
  }

  @AfterEach
  void closeDisks() throws IOException {
    raw.close();
    qcow2.close();
  }

  private NbdServer onSocket() throws IOException {
    return NbdServer.start(
        UnixDomainSocketAddress.of(folder.resolve("s")), exports, Optional.empty());
  }

  private String uri(String export) {
    return "nbd+unix:///" + export + "?socket=" + folder.resolve("s");
  }

  @Test
  void exportsAreListedAndDescribed() throws IOException {
    Peer.require("nbdinfo");
    try (NbdServer server = onSocket()) {
      String list = Peer.succeed("nbdinfo", "--list", uri(""));
      assertThat(list).contains("export=\"raw\"", "export=\"qcow2\"", "a raw file");
      assertThat(Peer.succeed("nbdinfo", "--size", uri("raw"))).contains(Long.toString(SIZE));
      assertThat(Peer.run("nbdinfo", uri("absent")).exitCode()).isNotZero();
      assertThat(Peer.succeed("nbdinfo", uri("fixed"))).contains("is_read_only: true");
      assertThat(Peer.succeed("nbdinfo", uri("raw"))).contains("can_multi_conn: true");
    }
  }

  @Test
  void copiesGoInAndOutUnchanged() throws IOException {
    Peer.require("nbdcopy", "cmp");
    byte[] contents = new byte[(int) SIZE];
    new Random(1).nextBytes(contents);
    java.util.Arrays.fill(contents, 3 << 20, 9 << 20, (byte) 0);
    Path source = folder.resolve("source");
    Files.write(source, contents);
    try (NbdServer server = onSocket()) {
      for (String export : new String[] {"raw", "qcow2"}) {
        Path back = folder.resolve("back");
        Peer.succeed("nbdcopy", "--flush", source, uri(export));
        Peer.succeed("nbdcopy", uri(export), back);
        Peer.succeed("cmp", source, back);
        assertThat(Peer.succeed("nbdinfo", "--map", uri(export))).contains("hole,zero");
      }
    }
  }

  @Test
  void qemuReadsWhatItWrote() throws IOException {
    Peer.require("qemu-io");
    try (NbdServer server =
        NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.empty())) {
      for (String export : new String[] {"raw", "qcow2"}) {
        String output =
            Peer.succeed(
                "qemu-io",
                "-f",
                "raw",
                "-c",
                "write -P 5 1M 3M",
                "-c",
                "write -f -P 6 513 1000",
                "-c",
                "write -z -u 2M 64k",
                "-c",
                "discard 8M 1M",
                "-c",
                "flush",
                "-c",
                "read -P 6 513 1000",
                "-c",
                "read -P 0 2M 64k",
                "-c",
                "read -P 5 2112k 1M",
                "nbd://127.0.0.1:" + server.port() + "/" + export);
        assertThat(output).doesNotContain("failed", "error");
      }
      assertThat(
              Peer.run(
                      "qemu-io",
                      "-f",
                      "raw",
                      "-c",
                      "write 0 512",
                      "nbd://127.0.0.1:" + server.port() + "/fixed")
                  .output())
          .containsIgnoringCase("permi");
    }
  }

  @Test
  void fioVerifiesWhatItWrote() throws IOException {
    Peer.require("fio");
    try (NbdServer server = onSocket()) {
      for (String export : new String[] {"raw", "qcow2"}) {
        Peer.succeed(
            "fio",
            "--name=verify",
            "--ioengine=nbd",
            "--uri=" + uri(export),
            "--rw=randwrite",
            "--bsrange=512-96k",
            "--iodepth=16",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--verify_state_save=0",
            "--fsync=64",
            "--io_size=12m",
            "--size=16m");
      }
    }
  }

  @Test
  void certificatesProtectTheConnection() throws IOException {
    Peer.require("certtool", "nbdinfo", "nbdcopy");
    makeCertificates();
    NbdServerTls tls = new NbdServerTls(PemFiles.context(folder, "server"), true, false);
    try (NbdServer server =
        NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.of(tls))) {
      String address = "127.0.0.1:" + server.port() + "/raw";
      assertThat(Peer.run("nbdinfo", "nbd://" + address).exitCode()).isNotZero();
      String uri = "nbds://localhost:" + server.port() + "/raw?tls-certificates=" + folder;
      assertThat(Peer.succeed("nbdinfo", uri)).contains("newstyle-fixed with TLS");
      byte[] contents = new byte[(int) SIZE];
      new Random(2).nextBytes(contents);
      Path source = folder.resolve("source");
      Files.write(source, contents);
      Peer.succeed("nbdcopy", source, uri);
      Path back = folder.resolve("back");
      Peer.succeed("nbdcopy", uri, back);
      assertThat(Files.mismatch(source, back)).isEqualTo(-1);
      // and with our own client, which wants to see the right certificate
      try (NbdClient client = NbdClient.connect(NbdAddress.parse(uri), Duration.ZERO)) {
        ByteBuffer bytes = ByteBuffer.allocate(contents.length);
        client.read(0, bytes);
        assertThat(bytes.array()).isEqualTo(contents);
      }
      String byNumber = uri.replace("localhost", "127.0.0.1");
      assertThatThrownBy(() -> NbdClient.connect(NbdAddress.parse(byNumber), Duration.ZERO))
          .as("the certificate is localhost's")
          .isInstanceOf(IOException.class);
    }
  }

  @Test
  void clientsShowTheirCertificateWhereItIsAskedFor() throws IOException {
    Peer.require("certtool", "nbdinfo");
    makeCertificates();
    NbdServerTls tls = new NbdServerTls(PemFiles.context(folder, "server"), true, true);
    try (NbdServer server =
        NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.of(tls))) {
      String uri = "nbds://localhost:" + server.port() + "/raw?tls-certificates=";
      assertThat(Peer.succeed("nbdinfo", uri + folder)).contains("newstyle-fixed with TLS");
      try (NbdClient client = NbdClient.connect(NbdAddress.parse(uri + folder), Duration.ZERO)) {
        assertThat(client.sizeBytes()).isEqualTo(SIZE);
      }
      Path without = Files.createDirectory(folder.resolve("without"));
      Files.copy(folder.resolve("ca-cert.pem"), without.resolve("ca-cert.pem"));
      assertThat(Peer.run("nbdinfo", uri + without).exitCode()).isNotZero();
      assertThatThrownBy(() -> NbdClient.connect(NbdAddress.parse(uri + without), Duration.ZERO))
          .isInstanceOf(IOException.class);
    }
  }

  private void makeCertificates() throws IOException {
    Files.writeString(folder.resolve("ca.cfg"), "cn = authority\nca\ncert_signing_key\n");
    Files.writeString(
        folder.resolve("server.cfg"),
        "cn = localhost\ndns_name = localhost\ntls_www_server\nencryption_key\nsigning_key\n");
    Files.writeString(
        folder.resolve("client.cfg"), "cn = client\ntls_www_client\nencryption_key\nsigning_key\n");
    for (String role : new String[] {"ca", "server", "client"}) {
      Path key = folder.resolve(role + "-key.pem");
      Peer.succeed("certtool", "--generate-privkey", "--bits", "2048", "--outfile", key);
      if (role.equals("ca")) {
        Peer.succeed(
            "certtool",
            "--generate-self-signed",
            "--load-privkey",
            key,
            "--template",
            folder.resolve("ca.cfg"),
            "--outfile",
            folder.resolve("ca-cert.pem"));
      } else {
        Peer.succeed(
            "certtool",
            "--generate-certificate",
            "--load-ca-certificate",
            folder.resolve("ca-cert.pem"),
            "--load-ca-privkey",
            folder.resolve("ca-key.pem"),
            "--load-privkey",
            key,
            "--template",
            folder.resolve(role + ".cfg"),
            "--outfile",
            folder.resolve(role + "-cert.pem"));
      }
    }
  }

  @Test
  void nonsenseEndsTheConnectionAndNothingElse() throws IOException {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    try (NbdServer server =
        NbdServer.start(new InetSocketAddress("127.0.0.1", 0), exports, Optional.empty())) {
      for (int i = 0; i < CONVERSATIONS; i++) {
        try (Socket socket = new Socket("127.0.0.1", server.port())) {
          socket.setSoTimeout(10_000);
          OutputStream out = socket.getOutputStream();
          InputStream in = socket.getInputStream();
          in.readNBytes(18);
          out.write(nonsense(random));
          out.flush();
          socket.shutdownOutput();
          // ends, whatever it answered
          in.readAllBytes();
        } catch (java.net.SocketException reset) {
          // closing in the middle of our stream is an answer as well
        }
      }
      if (Files.isExecutable(Path.of("/usr/bin/nbdinfo"))) {
        Peer.succeed("nbdinfo", "nbd://127.0.0.1:" + server.port() + "/raw");
      }
    }
  }

  /** A conversation that is right up to a random place. */
  private static byte[] nonsense(Random random) {
    ByteBuffer bytes = ByteBuffer.allocate(4096);
    bytes.putInt(random.nextInt(10) == 0 ? random.nextInt() : random.nextInt(4));
    int options = random.nextInt(4);
    for (int i = 0; i < options; i++) {
      byte[] data = new byte[random.nextInt(40)];
      random.nextBytes(data);
      bytes.putLong(NbdProtocol.OPTION_MAGIC).putInt(random.nextInt(12));
      bytes.putInt(random.nextInt(8) == 0 ? random.nextInt() : data.length).put(data);
    }
    if (random.nextBoolean()) {
      bytes.putLong(NbdProtocol.OPTION_MAGIC).putInt(NbdProtocol.OPTION_STRUCTURED_REPLY).putInt(0);
    }
    bytes.putLong(NbdProtocol.OPTION_MAGIC).putInt(NbdProtocol.OPTION_GO).putInt(9);
    bytes.putInt(3).put((byte) 'r').put((byte) 'a').put((byte) 'w').putShort((short) 0);
    for (int i = random.nextInt(8); i > 0; i--) {
      boolean valid = random.nextInt(4) > 0;
      bytes.putInt(valid ? NbdProtocol.REQUEST_MAGIC : random.nextInt());
      bytes.putShort((short) random.nextInt(valid ? 2 : 65536));
      bytes.putShort((short) (random.nextInt(10) + (valid ? 0 : random.nextInt(65536))));
      bytes.putLong(random.nextLong());
      bytes.putLong(valid ? random.nextInt((int) SIZE) : random.nextLong());
      bytes.putInt(valid ? random.nextInt(100_000) : random.nextInt());
    }
    byte[] result = new byte[bytes.position()];
    bytes.flip().get(result);
    return result;
  }
}
