package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLEngine;
import org.jspecify.annotations.Nullable;

/** The server's side of the fixed newstyle handshake, up to the choice of an export. */
final class ServerHandshake {
  private static final int MAX_OPTIONS = 4096;

  private final SocketChannel channel;
  private final NbdExports exports;
  private final @Nullable NbdServerTls tls;
  private NbdTransport transport;
  private boolean encrypted;
  private boolean structured;
  private boolean noZeroes;
  private @Nullable String contextExport;

  /**
   * What was agreed.
   *
   * @param allocation block status is wanted for {@code base:allocation}
   */
  record Agreement(
      NbdTransport transport, NbdExport export, boolean structured, boolean allocation) {}

  ServerHandshake(SocketChannel channel, NbdExports exports, @Nullable NbdServerTls tls) {
    this.channel = channel;
    this.exports = exports;
    this.tls = tls;
    this.transport = new NbdTransport.Plain(channel);
  }

  /** Negotiates; empty when the client leaves in order. */
  Optional<Agreement> negotiate() throws IOException {
    ByteBuffer hello = ByteBuffer.allocate(18);
    hello.putLong(INITIAL_MAGIC).putLong(OPTION_MAGIC);
    hello.putShort((short) (HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES));
    transport.write(hello.flip());
    int flags = read(4).getInt();
    if ((flags & ~(HANDSHAKE_FIXED_NEWSTYLE | HANDSHAKE_NO_ZEROES)) != 0) {
      throw new IOException("the client asks for unknown handshake flags " + flags);
    }
    noZeroes = (flags & HANDSHAKE_NO_ZEROES) != 0;
    for (int i = 0; i < MAX_OPTIONS; i++) {
      ByteBuffer head = read(16);
      if (head.getLong() != OPTION_MAGIC) {
        throw new IOException("the client does not speak NBD");
      }
      int option = head.getInt();
      int length = head.getInt();
      if (length < 0 || length > MAX_OPTION_BYTES) {
        throw new IOException("option " + option + " has " + length + " bytes, too many");
      }
      ByteBuffer data = read(length);
      if (tls != null && tls.required() && !encrypted && option != OPTION_START_TLS) {
        if (option == OPTION_ABORT || option == OPTION_EXPORT_NAME) {
          return Optional.empty();
        }
        reply(option, REPLY_TLS_REQUIRED, "this server requires TLS");
        continue;
      }
      switch (option) {
        case OPTION_EXPORT_NAME -> {
          return exportName(data);
        }
        case OPTION_ABORT -> {
          reply(option, REPLY_ACK, "");
          return Optional.empty();
        }
        case OPTION_LIST -> list(data);
        case OPTION_START_TLS -> startTls(data);
        case OPTION_INFO, OPTION_GO -> {
          Optional<Agreement> agreement = info(option, data);
          if (agreement.isPresent()) {
            return agreement;
          }
        }
        case OPTION_STRUCTURED_REPLY -> {
          if (data.hasRemaining()) {
            reply(option, REPLY_INVALID, "the option takes no data");
          } else {
            structured = true;
            reply(option, REPLY_ACK, "");
          }
        }
        case OPTION_LIST_META_CONTEXT, OPTION_SET_META_CONTEXT -> metaContext(option, data);
        default -> reply(option, REPLY_UNSUPPORTED, "unknown option");
      }
    }
    throw new IOException("the client sends options without end");
  }

  private ByteBuffer read(int length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(length);
    transport.readFully(bytes);
    return bytes.flip();
  }

  private void reply(int option, int type, String text) throws IOException {
    reply(option, type, text.getBytes(StandardCharsets.UTF_8));
  }

  private void reply(int option, int type, byte[] data) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(20 + data.length);
    bytes.putLong(OPTION_REPLY_MAGIC).putInt(option).putInt(type).putInt(data.length).put(data);
    transport.write(bytes.flip());
  }

  private Optional<Agreement> exportName(ByteBuffer data) throws IOException {
    String name = StandardCharsets.UTF_8.decode(data).toString();
    Optional<NbdExport> export = exports.find(name);
    if (export.isEmpty()) {
      // this old option has no way to say so
      return Optional.empty();
    }
    ByteBuffer answer = ByteBuffer.allocate(10 + (noZeroes ? 0 : 124));
    answer.putLong(export.get().device().sizeBytes());
    answer.putShort((short) export.get().transmissionFlags(structured));
    transport.write(answer.clear());
    return agree(export.get());
  }

  private Optional<Agreement> agree(NbdExport export) {
    boolean allocation = structured && export.name().equals(contextExport);
    return Optional.of(new Agreement(transport, export, structured, allocation));
  }

  private void list(ByteBuffer data) throws IOException {
    if (data.hasRemaining()) {
      reply(OPTION_LIST, REPLY_INVALID, "the option takes no data");
      return;
    }
    for (NbdExport export : exports.all()) {
      byte[] name = export.name().getBytes(StandardCharsets.UTF_8);
      byte[] description = export.description().getBytes(StandardCharsets.UTF_8);
      ByteBuffer bytes = ByteBuffer.allocate(4 + name.length + description.length);
      bytes.putInt(name.length).put(name).put(description);
      reply(OPTION_LIST, REPLY_SERVER, bytes.array());
    }
    reply(OPTION_LIST, REPLY_ACK, "");
  }

  private void startTls(ByteBuffer data) throws IOException {
    if (data.hasRemaining() || encrypted) {
      reply(OPTION_START_TLS, REPLY_INVALID, "TLS is not possible now");
      return;
    }
    if (tls == null) {
      reply(OPTION_START_TLS, REPLY_POLICY, "this server has no certificate");
      return;
    }
    reply(OPTION_START_TLS, REPLY_ACK, "");
    SSLEngine engine = tls.newEngine();
    transport = TlsTransport.start(channel, engine);
    encrypted = true;
    // what was agreed in the clear may come from someone in between
    structured = false;
    contextExport = null;
  }

  private Optional<Agreement> info(int option, ByteBuffer data) throws IOException {
    if (data.remaining() < 6) {
      reply(option, REPLY_INVALID, "the option is too short");
      return Optional.empty();
    }
    int nameLength = data.getInt();
    if (nameLength < 0 || nameLength > data.remaining() - 2) {
      reply(option, REPLY_INVALID, "the name is longer than the option");
      return Optional.empty();
    }
    String name = text(data, nameLength);
    int requests = data.getShort() & 0xffff;
    if (data.remaining() != requests * 2) {
      reply(option, REPLY_INVALID, "the option's length is wrong");
      return Optional.empty();
    }
    Optional<NbdExport> found = exports.find(name);
    if (found.isEmpty()) {
      reply(option, REPLY_UNKNOWN, "there is no export \"" + name + "\"");
      return Optional.empty();
    }
    NbdExport export = found.get();
    while (data.hasRemaining()) {
      int wanted = data.getShort() & 0xffff;
      if (wanted == INFO_NAME) {
        reply(option, REPLY_INFO, withType(INFO_NAME, export.name()));
      } else if (wanted == INFO_DESCRIPTION && !export.description().isEmpty()) {
        reply(option, REPLY_INFO, withType(INFO_DESCRIPTION, export.description()));
      }
    }
    int preferred =
        Math.max(4096, Math.min(MAX_PAYLOAD_BYTES, export.device().preferredBlockBytes()));
    ByteBuffer blocks = ByteBuffer.allocate(14).putShort((short) INFO_BLOCK_SIZE);
    reply(option, REPLY_INFO, blocks.putInt(1).putInt(preferred).putInt(MAX_PAYLOAD_BYTES).array());
    ByteBuffer size = ByteBuffer.allocate(12).putShort((short) INFO_EXPORT);
    size.putLong(export.device().sizeBytes());
    size.putShort((short) export.transmissionFlags(structured));
    reply(option, REPLY_INFO, size.array());
    reply(option, REPLY_ACK, "");
    return option == OPTION_GO ? agree(export) : Optional.empty();
  }

  private static byte[] withType(int type, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(2 + bytes.length).putShort((short) type).put(bytes).array();
  }

  private static String text(ByteBuffer data, int length) {
    byte[] bytes = new byte[length];
    data.get(bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private void metaContext(int option, ByteBuffer data) throws IOException {
    if (!structured) {
      reply(option, REPLY_INVALID, "structured replies must be agreed first");
      return;
    }
    List<String> queries = new ArrayList<>();
    String name;
    try {
      name = text(data, checkedLength(data));
      int count = data.getInt();
      for (int i = 0; i < count; i++) {
        queries.add(text(data, checkedLength(data)));
      }
      if (data.hasRemaining()) {
        throw new EOFException();
      }
    } catch (java.nio.BufferUnderflowException | EOFException malformed) {
      reply(option, REPLY_INVALID, "the option is malformed");
      return;
    }
    Optional<NbdExport> export = exports.find(name);
    if (export.isEmpty()) {
      reply(option, REPLY_UNKNOWN, "there is no export \"" + name + "\"");
      return;
    }
    boolean wanted =
        queries.contains(BASE_ALLOCATION)
            || (option == OPTION_LIST_META_CONTEXT
                && (queries.isEmpty() || queries.contains("base:")));
    if (option == OPTION_SET_META_CONTEXT) {
      contextExport = wanted ? export.get().name() : null;
    }
    if (wanted) {
      byte[] text = BASE_ALLOCATION.getBytes(StandardCharsets.UTF_8);
      reply(
          option,
          REPLY_META_CONTEXT,
          ByteBuffer.allocate(4 + text.length)
              .putInt(ServerSession.ALLOCATION_ID)
              .put(text)
              .array());
    }
    reply(option, REPLY_ACK, "");
  }

  private static int checkedLength(ByteBuffer data) throws EOFException {
    int length = data.getInt();
    if (length < 0 || length > Math.min(MAX_NAME_BYTES, data.remaining())) {
      throw new EOFException();
    }
    return length;
  }
}
