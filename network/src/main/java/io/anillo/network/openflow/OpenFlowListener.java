package io.anillo.network.openflow;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.function.Consumer;
import javax.net.ServerSocketFactory;

/** Waits for peers that open channels, plain or TLS as its factory makes sockets. */
public final class OpenFlowListener implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(OpenFlowListener.class.getName());

  private final String owner;
  private final ServerSocket server;
  private final Consumer<Socket> session;

  /**
   * Listens from now on; each peer is served by {@code session} on a thread of its own.
   *
   * @param owner for whom, as the log says it
   * @throws IOException when the host does not give the address out
   */
  public OpenFlowListener(
      String owner,
      InetSocketAddress address,
      ServerSocketFactory factory,
      Consumer<Socket> session)
      throws IOException {
    this.owner = owner;
    this.session = session;
    server = factory.createServerSocket();
    server.setReuseAddress(true);
    server.bind(address);
    Thread.ofVirtual().name("openflow listener of " + owner).start(this::accept);
  }

  /** The port, which is a free one when the address had port 0. */
  public int port() {
    return server.getLocalPort();
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        Thread.ofVirtual().name("openflow session of " + owner).start(() -> session.accept(socket));
      } catch (IOException e) {
        if (!server.isClosed()) {
          LOG.log(System.Logger.Level.WARNING, owner + " no longer listens for OpenFlow", e);
        }
        return;
      }
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
