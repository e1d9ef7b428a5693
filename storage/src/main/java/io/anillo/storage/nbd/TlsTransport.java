package io.anillo.storage.nbd;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.locks.ReentrantLock;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;

/** A connection inside TLS. */
final class TlsTransport implements NbdTransport {
  private final SocketChannel channel;
  private final SSLEngine engine;
  private final ReentrantLock writing = new ReentrantLock();
  private final ByteBuffer empty = ByteBuffer.allocate(0);
  private ByteBuffer netIn;
  private ByteBuffer plainIn;
  private ByteBuffer netOut;

  private TlsTransport(SocketChannel channel, SSLEngine engine) {
    this.channel = channel;
    this.engine = engine;
    int packet = engine.getSession().getPacketBufferSize();
    this.netIn = ByteBuffer.allocate(packet * 2).flip();
    this.plainIn = ByteBuffer.allocate(engine.getSession().getApplicationBufferSize()).flip();
    this.netOut = ByteBuffer.allocate(packet * 2);
  }

  /** Shakes hands on a connection that has agreed to start TLS. */
  static TlsTransport start(SocketChannel channel, SSLEngine engine) throws IOException {
    TlsTransport transport = new TlsTransport(channel, engine);
    engine.beginHandshake();
    transport.shakeHands();
    return transport;
  }

  private void shakeHands() throws IOException {
    while (true) {
      HandshakeStatus status = engine.getHandshakeStatus();
      switch (status) {
        case NEED_WRAP -> wrap(empty);
        case NEED_UNWRAP, NEED_UNWRAP_AGAIN -> unwrap();
        case NEED_TASK -> runTasks();
        case FINISHED, NOT_HANDSHAKING -> {
          return;
        }
      }
    }
  }

  private void runTasks() {
    for (Runnable task = engine.getDelegatedTask();
        task != null;
        task = engine.getDelegatedTask()) {
      task.run();
    }
  }

  private void wrap(ByteBuffer source) throws IOException {
    writing.lock();
    try {
      netOut.clear();
      SSLEngineResult result = engine.wrap(source, netOut);
      if (result.getStatus() == SSLEngineResult.Status.BUFFER_OVERFLOW) {
        netOut = ByteBuffer.allocate(netOut.capacity() * 2);
        return;
      }
      if (result.getStatus() == SSLEngineResult.Status.CLOSED && source.hasRemaining()) {
        throw new EOFException("the connection has ended");
      }
      netOut.flip();
      while (netOut.hasRemaining()) {
        channel.write(netOut);
      }
    } finally {
      writing.unlock();
    }
  }

  /** Decodes one record into the empty plain buffer, reading from the network if need be. */
  private void unwrap() throws IOException {
    while (true) {
      plainIn.clear();
      SSLEngineResult result = engine.unwrap(netIn, plainIn);
      plainIn.flip();
      switch (result.getStatus()) {
        case OK -> {
          return;
        }
        case CLOSED -> throw new EOFException("the connection has ended");
        case BUFFER_OVERFLOW -> plainIn = ByteBuffer.allocate(plainIn.capacity() * 2).flip();
        case BUFFER_UNDERFLOW -> {
          if (netIn.remaining() == netIn.capacity()) {
            netIn = ByteBuffer.allocate(netIn.capacity() * 2).put(netIn).flip();
          }
          netIn.compact();
          int count = channel.read(netIn);
          netIn.flip();
          if (count < 0) {
            throw new EOFException("the connection has ended");
          }
        }
      }
    }
  }

  @Override
  public void read(ByteBuffer target) throws IOException {
    while (!plainIn.hasRemaining()) {
      unwrap();
      HandshakeStatus status = engine.getHandshakeStatus();
      if (status == HandshakeStatus.NEED_TASK) {
        runTasks();
        status = engine.getHandshakeStatus();
      }
      if (status == HandshakeStatus.NEED_WRAP) {
        wrap(empty);
      }
    }
    int count = Math.min(target.remaining(), plainIn.remaining());
    int end = plainIn.limit();
    target.put(plainIn.limit(plainIn.position() + count));
    plainIn.limit(end);
  }

  @Override
  public void write(ByteBuffer... sources) throws IOException {
    writing.lock();
    try {
      for (ByteBuffer source : sources) {
        while (source.hasRemaining()) {
          wrap(source);
        }
      }
    } finally {
      writing.unlock();
    }
  }

  @Override
  public void close() throws IOException {
    engine.closeOutbound();
    channel.close();
  }
}
