package io.anillo.cli.storage;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.image.Images;
import io.anillo.storage.nbd.NbdExport;
import io.anillo.storage.nbd.NbdExports;
import io.anillo.storage.nbd.NbdServer;
import io.anillo.storage.nbd.NbdServerTls;
import io.anillo.storage.nbd.PemFiles;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo disk serve}: images, or a pool's volumes, over NBD until it is stopped. */
@Command(
    name = "serve",
    description = "Serves images, or all volumes of a pool, over NBD until stopped.",
    mixinStandardHelpOptions = true)
final class ServeCommand extends StorageCommand {
  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "Images, each under its file name; or the disks of a pool with --pool.")
  List<Path> files = List.of();

  @Option(names = "--pool", description = "The files are the disks of a pool.")
  boolean pool;

  @Option(names = "--degraded", description = "With --pool: although disks are missing.")
  boolean degraded;

  @Option(names = "--socket", paramLabel = "PATH", description = "A Unix-domain socket.")
  @Nullable Path socket;

  @Option(names = "--listen", paramLabel = "HOST", description = "Default: 127.0.0.1.")
  String host = "127.0.0.1";

  @Option(names = "--port", paramLabel = "PORT", description = "Default: 10809; 0 takes any.")
  int port = 10809;

  @Option(names = "--format", paramLabel = "FORMAT", description = "Of the images.")
  @Nullable String format;

  @Option(names = "--read-only", description = "Refuse writes.")
  boolean readOnly;

  @Option(names = "--direct", description = "Past the host's page cache.")
  boolean direct;

  @Option(
      names = "--tls",
      paramLabel = "FOLDER",
      description = "Require TLS with ca-cert.pem, server-cert.pem and server-key.pem of a folder.")
  @Nullable Path tls;

  @Option(names = "--verify-clients", description = "With --tls: clients need a certificate too.")
  boolean verifyClients;

  @Option(names = "--passphrase-file", paramLabel = "FILE", description = "For encrypted volumes.")
  @Nullable Path passphraseFile;

  @Override
  int run() throws IOException {
    if (port < 0 || port > 65535) {
      throw new IOException("--port takes 0 to 65535, not " + port);
    }
    NbdExports exports = new NbdExports();
    List<AutoCloseable> open = new ArrayList<>();
    try {
      openExports(exports, open);
      Optional<NbdServerTls> security =
          tls == null
              ? Optional.empty()
              : Optional.of(new NbdServerTls(PemFiles.context(tls, "server"), true, verifyClients));
      SocketAddress address =
          socket == null ? new InetSocketAddress(host, port) : UnixDomainSocketAddress.of(socket);
      CountDownLatch stopped = new CountDownLatch(1);
      CountDownLatch closed = new CountDownLatch(1);
      Thread hook =
          Thread.ofPlatform()
              .unstarted(() -> {
                stopped.countDown();
                try {
                  closed.await();
                } catch (InterruptedException hurried) {
                  Thread.currentThread().interrupt();
                }
              });
      Runtime.getRuntime().addShutdownHook(hook);
      try (NbdServer server = NbdServer.start(address, exports, security)) {
        String place = socket == null ? host + ":" + server.port() : socket.toString();
        System.out.println("serving " + exports.all().size() + " disks on " + place);
        stopped.await();
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      } finally {
        close(open);
        closed.countDown();
      }
      return 0;
    } catch (IOException failure) {
      close(open);
      throw failure;
    }
  }

  private void openExports(NbdExports exports, List<AutoCloseable> open) throws IOException {
    if (pool) {
      Pools.OpenPool opened = Pools.open(files, degraded);
      open.add(opened);
      VolumeExports volumes =
          new VolumeExports(opened.pool(), exports, passphrase(passphraseFile), readOnly);
      open.add(volumes);
      volumes.refresh();
      opened.control().handleWith(volumes::carryOut);
      return;
    }
    Images.Options options = options(!readOnly, format);
    if (direct) {
      options = new Images.Options(options.format(), readOnly, true, true, Optional.empty());
    }
    for (Path file : files) {
      BlockDevice device = Images.open(file, options);
      open.add(device);
      exports.put(
          new NbdExport(String.valueOf(file.getFileName()), file.toString(), device, readOnly));
    }
  }

  private static void close(List<AutoCloseable> open) throws IOException {
    for (AutoCloseable closeable : open.reversed()) {
      try {
        closeable.close();
      } catch (IOException failure) {
        throw failure;
      } catch (Exception impossible) {
        throw new IllegalStateException(impossible);
      }
    }
    open.clear();
  }
}
