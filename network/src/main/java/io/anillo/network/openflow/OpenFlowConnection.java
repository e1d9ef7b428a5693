package io.anillo.network.openflow;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * An OpenFlow channel over a socket, plain or TLS. One thread reads; any thread sends. What is sent
 * goes through a bounded queue to a writer of its own, so that a slow peer never holds up the data
 * plane.
 */
public final class OpenFlowConnection implements AutoCloseable {
  /** What may wait to be sent, in bytes with {@link #OVERHEAD} for each message. */
  private static final int QUEUE_BYTES = 8 << 20;

  private static final int OVERHEAD = 64;
  private static final int PATIENCE_SECONDS = 10;

  private final Socket socket;
  private final DataInputStream input;
  private final OutputStream output;
  private final LinkedBlockingQueue<byte[]> queue = new LinkedBlockingQueue<>();
  private final Semaphore room = new Semaphore(QUEUE_BYTES);
  private volatile boolean closed;

  public OpenFlowConnection(Socket socket) throws IOException {
    this.socket = socket;
    socket.setTcpNoDelay(true);
    input = new DataInputStream(new BufferedInputStream(socket.getInputStream(), 1 << 16));
    output = new BufferedOutputStream(socket.getOutputStream(), 1 << 16);
    Thread.ofVirtual().name("openflow writer to " + peer()).start(this::write);
  }

  /** The other side's address. */
  public String peer() {
    return String.valueOf(socket.getRemoteSocketAddress());
  }

  public void setReadTimeoutMillis(int millis) throws IOException {
    socket.setSoTimeout(millis);
  }

  /**
   * The next message.
   *
   * @throws EOFException when the peer has closed the channel
   * @throws IOException when the channel breaks or the peer sends a length that is none
   */
  public Message read() throws IOException {
    int version = input.readUnsignedByte();
    int type = input.readUnsignedByte();
    int length = input.readUnsignedShort();
    int transaction = input.readInt();
    if (length < 8) {
      throw new IOException("peer " + peer() + " sent a message of length " + length);
    }
    byte[] body = new byte[length - 8];
    input.readFully(body);
    return new Message(version, type, transaction, body);
  }

  /**
   * Sends a message, waiting while the peer is slow; a peer that takes nothing for too long loses
   * its channel, so that nobody waits for it for ever.
   */
  public void send(Message message) throws IOException {
    byte[] encoded = message.encode();
    try {
      int size = encoded.length + OVERHEAD;
      for (int second = 0; !room.tryAcquire(size, 1, TimeUnit.SECONDS); second++) {
        if (second == PATIENCE_SECONDS) {
          close();
        }
        if (closed) {
          throw new IOException("channel to " + peer() + " is closed");
        }
      }
      queue.add(encoded);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while sending to " + peer(), e);
    }
  }

  /**
   * Sends a message if there is room for it at once, as asynchronous messages may be lost (OpenFlow
   * 1.3.5 §6.1.2).
   */
  public boolean offer(Message message) {
    byte[] encoded = message.encode();
    return !closed && room.tryAcquire(encoded.length + OVERHEAD) && queue.add(encoded);
  }

  private void write() {
    try {
      while (!closed) {
        byte[] next = queue.poll(1, TimeUnit.SECONDS);
        if (next == null) {
          continue;
        }
        while (next != null) {
          output.write(next);
          room.release(next.length + OVERHEAD);
          next = queue.poll();
        }
        output.flush();
      }
    } catch (InterruptedException | IOException e) {
      close();
    }
  }

  public boolean isClosed() {
    return closed;
  }

  @Override
  public void close() {
    closed = true;
    try {
      socket.close();
    } catch (IOException e) {
      // The channel is gone either way.
      System.getLogger(OpenFlowConnection.class.getName())
          .log(System.Logger.Level.DEBUG, "closing the channel to " + peer(), e);
    }
  }
}
