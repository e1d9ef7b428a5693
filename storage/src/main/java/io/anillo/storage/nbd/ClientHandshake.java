package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLParameters;

/** The client's side of the fixed newstyle handshake: from nothing to a connected export. */
final class ClientHandshake {
  private static final int CONNECT_MILLIS = 10_000;
  private static final int HANDSHAKE_SECONDS = 30;
  private static final int MAX_REPLIES = 1024;

  private final NbdAddress address;
  private NbdTransport transport;
  private long sizeBytes = -1;
  private int flags;
  private int minimumBlock = 1;
  private int preferredBlock = 4096;
  private int maximumPayload = MAX_PAYLOAD_BYTES;
  private boolean structured;
  private int allocationId = -1;

  /**
   * What was agreed.
   *
   * @param flags the export's transmission flags
   * @param minimumBlock requests must be multiples of this many bytes
   * @param allocationId the context of {@code base:allocation}, or -1 when it was not agreed
   */
  record Agreement(
      NbdTransport transport,
      long sizeBytes,
      int flags,
      int minimumBlock,
      int preferredBlock,
      int maximumPayload,
      boolean structured,
      int allocationId) {
    boolean has(int flag) {
      return (flags & flag) != 0;
    }
  }

  private ClientHandshake(NbdAddress address, NbdTransport transport) {
    this.address = address;
    this.transport = transport;
  }

  /** Connects and negotiates; a server that dawdles for half a minute is given up. */
  static Agreement connect(NbdAddress address) throws IOException {
    SocketChannel channel =
        address.socket().isPresent()
            ? SocketChannel.open(StandardProtocolFamily.UNIX)
            : SocketChannel.open();
    boolean done = false;
    Thread watch =
        Thread.ofVirtual()
            .start(() -> {
              try {
                TimeUnit.SECONDS.sleep(HANDSHAKE_SECONDS);
                channel.close();
              } catch (InterruptedException inTime) {
                Thread.currentThread().interrupt();
              } catch (IOException alreadyGone) {
                // closing is all that was wanted
              }
            });
    try {
      if (address.socketAddress() instanceof InetSocketAddress internet) {
        if (internet.isUnresolved()) {
          throw new IOException("the host " + address.host() + " is not known");
        }
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.setOption(StandardSocketOptions.SO_KEEPALIVE, true);
        channel.socket().connect(internet, CONNECT_MILLIS);
      } else {
        channel.connect(address.socketAddress());
      }
      Agreement agreement =
          new ClientHandshake(address, new NbdTransport.Plain(channel)).negotiate(channel);
      done = true;
      return agreement;
    } finally {
      watch.interrupt();
      if (!done) {
        channel.close();
      }
    }
  }

  private Agreement negotiate(SocketChannel channel) throws IOException {
    ByteBuffer hello = read(18);
    if (hello.getLong() != INITIAL_MAGIC || hello.getLong() != OPTION_MAGIC) {
      throw new IOException("what listens at " + address + " does not speak NBD (newstyle)");
    }
    int offered = hello.getShort();
    if ((offered & HANDSHAKE_FIXED_NEWSTYLE) == 0) {
      throw new IOException("the server at " + address + " is too old: not fixed newstyle");
    }
    int chosen = offered & (HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES);
    transport.write(ByteBuffer.allocate(4).putInt(chosen).flip());
    if (address.tls()) {
      startTls(channel);
    }
    structured = simpleOption(OPTION_STRUCTURED_REPLY);
    if (structured) {
      setMetaContext();
    }
    go();
    return new Agreement(
        transport,
        sizeBytes,
        flags,
        minimumBlock,
        preferredBlock,
        maximumPayload,
        structured,
        allocationId);
  }

  private ByteBuffer read(int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    transport.readFully(bytes);
    return bytes.flip();
  }

  private void send(int option, byte[] data) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(16 + data.length);
    transport.write(
        bytes.putLong(OPTION_MAGIC).putInt(option).putInt(data.length).put(data).flip());
  }

  private record Reply(int type, ByteBuffer data) {
    String text() {
      return StandardCharsets.UTF_8.decode(data.duplicate()).toString();
    }
  }

  private Reply receive(int option) throws IOException {
    ByteBuffer head = read(20);
    if (head.getLong() != OPTION_REPLY_MAGIC || head.getInt() != option) {
      throw new IOException("the server at " + address + " answers an option with nonsense");
    }
    int type = head.getInt();
    int length = head.getInt();
    if (length < 0 || length > MAX_OPTION_BYTES) {
      throw new IOException("the server at " + address + " sends a reply that is too long");
    }
    return new Reply(type, read(length));
  }

  private boolean simpleOption(int option) throws IOException {
    send(option, new byte[0]);
    return receive(option).type == REPLY_ACK;
  }

  private void startTls(SocketChannel channel) throws IOException {
    if (!simpleOption(OPTION_START_TLS)) {
      throw new IOException("the server at " + address + " offers no TLS");
    }
    SSLEngine engine =
        PemFiles.context(address.certificates().orElseThrow(), "client")
            .createSSLEngine(address.host(), address.port());
    engine.setUseClientMode(true);
    if (!address.host().isEmpty()) {
      SSLParameters parameters = engine.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("HTTPS");
      engine.setSSLParameters(parameters);
    }
    transport = TlsTransport.start(channel, engine);
  }

  private static byte[] named(String name, ByteBuffer rest) {
    byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(4 + bytes.length + rest.remaining())
        .putInt(bytes.length)
        .put(bytes)
        .put(rest)
        .array();
  }

  private void setMetaContext() throws IOException {
    byte[] query = BASE_ALLOCATION.getBytes(StandardCharsets.UTF_8);
    ByteBuffer queries = ByteBuffer.allocate(8 + query.length);
    queries.putInt(1).putInt(query.length).put(query).flip();
    send(OPTION_SET_META_CONTEXT, named(address.export(), queries));
    for (int i = 0; i < MAX_REPLIES; i++) {
      Reply reply = receive(OPTION_SET_META_CONTEXT);
      if (reply.type == REPLY_META_CONTEXT && reply.data.remaining() >= 4) {
        int id = reply.data.getInt();
        if (reply.text().equals(BASE_ALLOCATION)) {
          allocationId = id;
        }
      } else {
        // acknowledged, or refused, in which case extents are just not known
        return;
      }
    }
    throw new IOException("the server at " + address + " answers without end");
  }

  private void go() throws IOException {
    ByteBuffer requests = ByteBuffer.allocate(4);
    requests.putShort((short) 1).putShort((short) INFO_BLOCK_SIZE).flip();
    send(OPTION_GO, named(address.export(), requests));
    for (int i = 0; i < MAX_REPLIES; i++) {
      Reply reply = receive(OPTION_GO);
      switch (reply.type) {
        case REPLY_ACK -> {
          if (sizeBytes < 0) {
            throw new IOException("the server at " + address + " does not tell the disk's size");
          }
          return;
        }
        case REPLY_INFO -> information(reply.data);
        case REPLY_UNKNOWN ->
            throw new IOException(
                "the server at " + address + " has no export \"" + address.export() + "\"");
        case REPLY_TLS_REQUIRED ->
            throw new IOException("the server at " + address + " requires TLS (nbds://)");
        default ->
            throw new IOException(
                "the server at %s refuses the export: %s"
                    .formatted(
                        address,
                        reply.data.hasRemaining()
                            ? reply.text()
                            : "reply 0x" + Integer.toHexString(reply.type)));
      }
    }
    throw new IOException("the server at " + address + " answers without end");
  }

  private void information(ByteBuffer data) throws IOException {
    int type = data.remaining() >= 2 ? data.getShort() & 0xffff : -1;
    if (type == INFO_EXPORT && data.remaining() == 10) {
      sizeBytes = data.getLong();
      flags = data.getShort() & 0xffff;
      if (sizeBytes < 0) {
        throw new IOException("the server at " + address + " tells an impossible size");
      }
    } else if (type == INFO_BLOCK_SIZE && data.remaining() == 12) {
      minimumBlock = data.getInt();
      preferredBlock = data.getInt();
      long maximum = Integer.toUnsignedLong(data.getInt());
      maximumPayload = (int) Math.min(MAX_PAYLOAD_BYTES, maximum);
      if (Integer.bitCount(minimumBlock) != 1
          || minimumBlock > 1 << 16
          || Integer.bitCount(preferredBlock) != 1
          || preferredBlock < minimumBlock
          || maximumPayload < minimumBlock) {
        throw new IOException("the server at " + address + " tells impossible block sizes");
      }
      maximumPayload -= maximumPayload % minimumBlock;
    }
  }
}
