package io.anillo.cli.network;

import io.anillo.storage.nbd.PemFiles;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import javax.net.ServerSocketFactory;
import javax.net.SocketFactory;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLServerSocketFactory;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** A command that speaks OpenFlow until it is stopped, alone or over TLS. */
abstract class StandingCommand implements Callable<Integer> {
  private static final int FAILED = 4;

  @Option(
      names = "--tls",
      paramLabel = "FOLDER",
      description = {
        "Speak OpenFlow over TLS only, with ca-cert.pem and server-cert.pem and server-key.pem of",
        "this folder where others call, client-cert.pem and client-key.pem where this calls."
      })
  @Nullable Path tls;

  private final List<AutoCloseable> resources = new ArrayList<>();

  /** Starts what stands, and says in one line what it is. */
  abstract String open() throws Exception;

  final <T extends AutoCloseable> T keep(T resource) {
    resources.add(resource);
    return resource;
  }

  final ServerSocketFactory serverSockets() throws IOException {
    return tls == null
        ? ServerSocketFactory.getDefault()
        : new Verifying(PemFiles.context(tls, "server").getServerSocketFactory());
  }

  final SocketFactory clientSockets() throws IOException {
    return tls == null
        ? SocketFactory.getDefault()
        : PemFiles.context(tls, "client").getSocketFactory();
  }

  /** Lets in who has a certificate that the authority has signed. */
  private static final class Verifying extends ServerSocketFactory {
    private final SSLServerSocketFactory inner;

    Verifying(SSLServerSocketFactory inner) {
      this.inner = inner;
    }

    private static ServerSocket verifying(ServerSocket socket) {
      if (socket instanceof SSLServerSocket secure) {
        secure.setNeedClientAuth(true);
      }
      return socket;
    }

    @Override
    public ServerSocket createServerSocket() throws IOException {
      return verifying(inner.createServerSocket());
    }

    @Override
    public ServerSocket createServerSocket(int port) throws IOException {
      return verifying(inner.createServerSocket(port));
    }

    @Override
    public ServerSocket createServerSocket(int port, int backlog) throws IOException {
      return verifying(inner.createServerSocket(port, backlog));
    }

    @Override
    public ServerSocket createServerSocket(int port, int backlog, java.net.InetAddress address)
        throws IOException {
      return verifying(inner.createServerSocket(port, backlog, address));
    }
  }

  @Override
  public final Integer call() throws Exception {
    CountDownLatch stopped = new CountDownLatch(1);
    try {
      System.out.println(open());
      Runtime.getRuntime().addShutdownHook(new Thread(stopped::countDown));
      stopped.await();
      return 0;
    } catch (IOException | IllegalArgumentException failure) {
      System.err.println("anillo: " + failure.getMessage());
      return FAILED;
    } finally {
      for (AutoCloseable resource : resources.reversed()) {
        resource.close();
      }
    }
  }
}
