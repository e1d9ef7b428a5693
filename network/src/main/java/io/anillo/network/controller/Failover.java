package io.anillo.network.controller;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;

/**
 * Two controllers for the same switches: one is their master and says every fifth of a second that
 * it lives, the other waits and takes over when it hears nothing more. Who is master the switches
 * decide by the generation (OpenFlow 1.3.5 §6.3.6), so that even a master that only seemed dead can
 * change nothing any more.
 */
public final class Failover implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Failover.class.getName());
  private static final int BEAT_MILLIS = 200;

  private final Controller controller;
  private volatile boolean closed;
  private volatile AutoCloseable resource = () -> {};

  private Failover(Controller controller) {
    this.controller = controller;
  }

  /** Makes a controller the master; standbys listen to it at {@code address}. */
  public static Failover master(Controller controller, InetSocketAddress address)
      throws IOException {
    Failover failover = new Failover(controller);
    ServerSocket server = new ServerSocket();
    server.setReuseAddress(true);
    server.bind(address);
    failover.resource = server;
    controller.assumeRole(Controller.Role.MASTER, controller.generation() + 1);
    Thread.ofVirtual().name("failover").start(() -> failover.accept(server));
    return failover;
  }

  /**
   * Makes a controller a standby.
   *
   * @param patienceMillis how long the master may be silent
   */
  public static Failover standby(
      Controller controller, InetSocketAddress master, int patienceMillis) {
    Failover failover = new Failover(controller);
    controller.assumeRole(Controller.Role.SLAVE, controller.generation());
    Thread watching =
        Thread.ofVirtual()
            .name("failover")
            .start(() -> failover.watch(master, Math.max(BEAT_MILLIS * 2, patienceMillis)));
    failover.resource = watching::interrupt;
    return failover;
  }

  private void accept(ServerSocket server) {
    while (!closed) {
      try {
        Socket socket = server.accept();
        Thread.ofVirtual().name("failover beat").start(() -> beat(socket));
      } catch (IOException e) {
        if (!closed) {
          LOG.log(System.Logger.Level.WARNING, "no standby can listen any more", e);
        }
        return;
      }
    }
  }

  private void beat(Socket socket) {
    try (socket) {
      while (!closed) {
        socket.getOutputStream().write(1);
        Thread.sleep(BEAT_MILLIS);
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "a standby is gone", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Listens to the master, and takes over once it has been silent for too long. */
  private void watch(InetSocketAddress master, int patienceMillis) {
    long heard = System.nanoTime();
    while (!closed) {
      try (Socket socket = new Socket()) {
        socket.connect(master, patienceMillis);
        socket.setSoTimeout(patienceMillis);
        InputStream beats = socket.getInputStream();
        while (beats.read() >= 0) {
          heard = System.nanoTime();
        }
      } catch (SocketTimeoutException e) {
        LOG.log(System.Logger.Level.DEBUG, "the master is silent", e);
      } catch (IOException e) {
        LOG.log(System.Logger.Level.DEBUG, "the master cannot be reached", e);
      }
      if (!closed && System.nanoTime() - heard >= patienceMillis * 1_000_000L) {
        LOG.log(System.Logger.Level.INFO, "the master is gone; this controller takes over");
        controller.assumeRole(Controller.Role.MASTER, controller.generation() + 1);
        return;
      }
      try {
        Thread.sleep(BEAT_MILLIS / 2);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  @Override
  public void close() throws IOException {
    closed = true;
    try {
      resource.close();
    } catch (IOException e) {
      throw e;
    } catch (Exception e) {
      throw new IOException("cannot end the failover", e);
    }
  }
}
