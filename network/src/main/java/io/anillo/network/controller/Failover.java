package io.anillo.network.controller;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * Two controllers for the same switches: one is their master and says every fifth of a second that
 * it lives, the other waits and takes over when it hears nothing more. Who is master the switches
 * decide by the generation (OpenFlow 1.3.5 §6.3.6), so that even a master that only seemed dead can
 * change nothing any more.
 *
 * <p>With its beats the master sends what the standby must know to go on: a text, again whenever it
 * is another. On the wire a beat is a byte 1; a text is a byte 2, its length in four bytes and
 * UTF-8.
 */
public final class Failover implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Failover.class.getName());
  private static final int BEAT_MILLIS = 200;
  private static final int BEAT = 1;
  private static final int STATE = 2;
  private static final int MAXIMUM_STATE_BYTES = 1 << 28;

  private final Controller controller;
  private volatile boolean closed;
  private volatile AutoCloseable resource = () -> {};

  private Failover(Controller controller) {
    this.controller = controller;
  }

  /** Makes a controller the master; standbys listen to it at {@code address}. */
  public static Failover master(Controller controller, InetSocketAddress address)
      throws IOException {
    return master(controller, address, () -> "");
  }

  /**
   * The same, with what the standby must know.
   *
   * @param state asked for with each beat
   */
  public static Failover master(
      Controller controller, InetSocketAddress address, Supplier<String> state) throws IOException {
    Failover failover = new Failover(controller);
    ServerSocket server = new ServerSocket();
    server.setReuseAddress(true);
    server.bind(address);
    failover.resource = server;
    // Later than all earlier masters', of whom a controller that has just started knows nothing.
    long generation = Math.max(controller.generation() + 1, System.currentTimeMillis());
    controller.assumeRole(Controller.Role.MASTER, generation);
    Thread.ofVirtual().name("failover").start(() -> failover.accept(server, state));
    return failover;
  }

  /**
   * Makes a controller a standby.
   *
   * @param patienceMillis how long the master may be silent
   */
  public static Failover standby(
      Controller controller, InetSocketAddress master, int patienceMillis) {
    return standby(controller, master, patienceMillis, state -> {});
  }

  /**
   * The same.
   *
   * @param learned is told what the master says whenever that is another
   */
  public static Failover standby(
      Controller controller,
      InetSocketAddress master,
      int patienceMillis,
      Consumer<String> learned) {
    Failover failover = new Failover(controller);
    controller.assumeRole(Controller.Role.SLAVE, controller.generation());
    Thread watching =
        Thread.ofVirtual()
            .name("failover")
            .start(
                () -> failover.watch(master, Math.max(BEAT_MILLIS * 2, patienceMillis), learned));
    failover.resource = watching::interrupt;
    return failover;
  }

  private void accept(ServerSocket server, Supplier<String> state) {
    while (!closed) {
      try {
        Socket socket = server.accept();
        Thread.ofVirtual().name("failover beat").start(() -> beat(socket, state));
      } catch (IOException e) {
        if (!closed) {
          LOG.log(System.Logger.Level.WARNING, "no standby can listen any more", e);
        }
        return;
      }
    }
  }

  private void beat(Socket socket, Supplier<String> state) {
    String known = "";
    try (socket) {
      DataOutputStream output =
          new DataOutputStream(new BufferedOutputStream(socket.getOutputStream()));
      while (!closed) {
        String current = state.get();
        if (current.equals(known)) {
          output.write(BEAT);
        } else {
          byte[] text = current.getBytes(StandardCharsets.UTF_8);
          output.write(STATE);
          output.writeInt(text.length);
          output.write(text);
          known = current;
        }
        output.flush();
        Thread.sleep(BEAT_MILLIS);
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "a standby is gone", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Listens to the master, and takes over once it has been silent for too long. */
  private void watch(InetSocketAddress master, int patienceMillis, Consumer<String> learned) {
    long heard = System.nanoTime();
    while (!closed) {
      try (Socket socket = new Socket()) {
        socket.connect(master, patienceMillis);
        socket.setSoTimeout(patienceMillis);
        DataInputStream beats = new DataInputStream(socket.getInputStream());
        for (int kind = beats.read(); kind >= 0 && !closed; kind = beats.read()) {
          heard = System.nanoTime();
          if (kind == STATE) {
            learned.accept(text(beats));
            heard = System.nanoTime();
          }
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

  private static String text(DataInputStream input) throws IOException {
    int length = input.readInt();
    if (length < 0 || length > MAXIMUM_STATE_BYTES) {
      throw new IOException("the master says " + length + " bytes");
    }
    byte[] text = input.readNBytes(length);
    if (text.length < length) {
      throw new IOException("the master stopped in the middle");
    }
    return new String(text, StandardCharsets.UTF_8);
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
