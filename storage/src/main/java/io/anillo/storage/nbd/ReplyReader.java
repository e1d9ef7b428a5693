package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import io.anillo.storage.block.BufferPool;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/** Reads the replies of one connection; whatever breaks the protocol ends it. */
final class ReplyReader {
  private static final int IN_BYTES = 128 << 10;
  private static final int MAX_CHUNK_BYTES = MAX_PAYLOAD_BYTES + 64;

  private final NbdTransport transport;
  private final boolean structured;
  private final int allocationId;
  private final LongFunction<@Nullable ClientRequest> requests;
  private final ByteBuffer in = BufferPool.take(IN_BYTES).limit(0);

  /**
   * @param requests finds a request under way by its handle
   */
  ReplyReader(ClientHandshake.Agreement agreement, LongFunction<@Nullable ClientRequest> requests) {
    this.transport = agreement.transport();
    this.structured = agreement.structured();
    this.allocationId = agreement.allocationId();
    this.requests = requests;
  }

  void release() {
    BufferPool.give(in);
  }

  private static IOException nonsense(String what) {
    return new IOException("the server breaks the protocol: " + what);
  }

  private void need(int bytes) throws IOException {
    if (in.remaining() >= bytes) {
      return;
    }
    in.compact();
    try {
      while (in.position() < bytes) {
        transport.read(in);
      }
    } finally {
      in.flip();
    }
  }

  private ClientRequest request(long handle) throws IOException {
    ClientRequest request = requests.apply(handle);
    if (request == null) {
      throw nonsense("a reply to no request");
    }
    return request;
  }

  /** Reads until a request is complete, and returns it. */
  ClientRequest next() throws IOException {
    while (true) {
      need(SIMPLE_REPLY_BYTES);
      int magic = in.getInt(in.position());
      if (magic == SIMPLE_REPLY_MAGIC) {
        return simple();
      }
      if (magic != STRUCTURED_REPLY_MAGIC || !structured) {
        throw nonsense("no reply where one was due");
      }
      ClientRequest complete = chunk();
      if (complete != null) {
        return complete;
      }
    }
  }

  private ClientRequest simple() throws IOException {
    in.getInt();
    int error = in.getInt();
    ClientRequest request = request(in.getLong());
    if (error != 0) {
      request.refuse(error, "");
    } else if (request.is(COMMAND_READ)) {
      if (structured) {
        throw nonsense("a simple reply to a read");
      }
      fill(request.payload());
    } else if (request.is(COMMAND_BLOCK_STATUS)) {
      throw nonsense("a simple reply to block status");
    }
    return request;
  }

  /** Fills a buffer from what is at hand and then from the connection. */
  private void fill(ByteBuffer target) throws IOException {
    int buffered = Math.min(target.remaining(), in.remaining());
    int end = in.limit();
    target.put(in.limit(in.position() + buffered));
    in.limit(end);
    transport.readFully(target);
  }

  private @Nullable ClientRequest chunk() throws IOException {
    need(CHUNK_HEADER_BYTES);
    in.getInt();
    int flags = in.getShort() & 0xffff;
    int type = in.getShort() & 0xffff;
    ClientRequest request = request(in.getLong());
    int length = in.getInt();
    if (length < 0 || length > MAX_CHUNK_BYTES) {
      throw nonsense("a chunk of " + Integer.toUnsignedLong(length) + " bytes");
    }
    switch (type) {
      case CHUNK_NONE -> {
        if (length != 0 || (flags & CHUNK_DONE) == 0) {
          throw nonsense("an empty chunk that is none");
        }
      }
      case CHUNK_OFFSET_DATA -> data(request, length);
      case CHUNK_OFFSET_HOLE -> hole(request, length);
      case CHUNK_BLOCK_STATUS -> status(request, length);
      default -> {
        if (type < 1 << 15) {
          throw nonsense("a chunk of type " + type);
        }
        error(request, type, length);
      }
    }
    if ((flags & CHUNK_DONE) == 0) {
      return null;
    }
    if (request.is(COMMAND_READ) && request.error() == 0 && request.received != request.length) {
      throw nonsense("a read of which only a part was answered");
    }
    return request;
  }

  private ByteBuffer part(ClientRequest request, long offset, long length) throws IOException {
    long within = offset - request.offset;
    if (!request.is(COMMAND_READ)
        || within < 0
        || length <= 0
        || length > request.length - within
        || length > request.length - request.received) {
      throw nonsense("data that nobody asked for");
    }
    request.received += (int) length;
    ByteBuffer target = request.payload();
    int start = target.position() + (int) within;
    return target.limit(start + (int) length).position(start);
  }

  private void data(ClientRequest request, int length) throws IOException {
    if (length <= 8) {
      throw nonsense("a chunk of data without data");
    }
    need(8);
    long offset = in.getLong();
    fill(part(request, offset, length - 8));
  }

  private void hole(ClientRequest request, int length) throws IOException {
    if (length != 12) {
      throw nonsense("a chunk for a hole of the wrong length");
    }
    need(12);
    long offset = in.getLong();
    BufferPool.putZeros(part(request, offset, Integer.toUnsignedLong(in.getInt())));
  }

  private void status(ClientRequest request, int length) throws IOException {
    if (!request.is(COMMAND_BLOCK_STATUS) || length < 12 || length % 8 != 4) {
      throw nonsense("block status that nobody asked for");
    }
    ByteBuffer body = ByteBuffer.allocate(length);
    fill(body);
    body.flip();
    if (body.getInt() == allocationId) {
      int[] extents = new int[body.remaining() / 4];
      body.asIntBuffer().get(extents);
      request.extents = extents;
    }
  }

  private void error(ClientRequest request, int type, int length) throws IOException {
    if (length < 6 || length > MAX_OPTION_BYTES) {
      throw nonsense("an error of the wrong length");
    }
    ByteBuffer body = ByteBuffer.allocate(length);
    fill(body);
    body.flip();
    int number = body.getInt();
    int textLength = body.getShort() & 0xffff;
    if (textLength > body.remaining() || (type == CHUNK_ERROR && textLength != body.remaining())) {
      throw nonsense("an error whose message is longer than it");
    }
    String text = StandardCharsets.UTF_8.decode(body.limit(6 + textLength)).toString();
    request.refuse(number, text);
  }
}
