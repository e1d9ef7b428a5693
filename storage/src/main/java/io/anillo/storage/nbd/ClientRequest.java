package io.anillo.storage.nbd;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/**
 * A request that waits for its answer. It keeps everything that is needed to send it once more over
 * another connection.
 */
final class ClientRequest {
  /** Error 0, or the number that the server gave. */
  private static final int NONE = 0;

  final long handle;
  final int type;
  final int flags;
  final long offset;
  final int length;

  /** What is written, or where what is read goes; never moved itself, only duplicates of it. */
  private final @Nullable ByteBuffer data;

  /** The extents that block status gave: length and flags in turn. */
  int @Nullable [] extents;

  /** The connection that it was last sent over; guarded by the client's send lock. */
  long sentOn;

  private final CountDownLatch done = new CountDownLatch(1);
  private int error = NONE;
  private String message = "";
  private @Nullable IOException failure;

  /** Bytes of a read that have arrived over the present connection; of the reader alone. */
  int received;

  ClientRequest(
      long handle, int type, int flags, long offset, int length, @Nullable ByteBuffer data) {
    this.handle = handle;
    this.type = type;
    this.flags = flags;
    this.offset = offset;
    this.length = length;
    this.data = data;
  }

  ByteBuffer payload() {
    ByteBuffer buffer = data;
    if (buffer == null) {
      throw new IllegalStateException("a request of type " + type + " has no data");
    }
    return buffer.duplicate();
  }

  boolean is(int wanted) {
    return type == wanted;
  }

  /** Notes an error; the request ends with {@link #finish}. */
  void refuse(int number, String text) {
    if (error == NONE) {
      error = number == NONE ? NbdProtocol.ERROR_INPUT_OUTPUT : number;
      message = text;
    }
  }

  int error() {
    return error;
  }

  void finish() {
    done.countDown();
  }

  void abandon(IOException why) {
    failure = why;
    done.countDown();
  }

  /** Forgets what an earlier connection told. */
  void begin(long connection) {
    sentOn = connection;
    received = 0;
    error = NONE;
    message = "";
    extents = null;
  }

  /** Waits for the end; what the server refused is thrown. */
  void await(String server) throws IOException {
    boolean interrupted = false;
    while (true) {
      try {
        done.await();
        break;
      } catch (InterruptedException later) {
        // until it is done, the reader may write to the caller's buffer
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    IOException why = failure;
    if (why != null) {
      throw new IOException(why.getMessage(), why);
    }
    if (error != NONE) {
      String detail = message.isEmpty() ? "" : " (" + message + ")";
      throw new IOException(name(error) + detail + ", says " + server);
    }
  }

  private static String name(int error) {
    return switch (error) {
      case NbdProtocol.ERROR_NOT_PERMITTED -> "the export is read-only";
      case NbdProtocol.ERROR_INPUT_OUTPUT -> "input/output error";
      case NbdProtocol.ERROR_INVALID -> "invalid request";
      case NbdProtocol.ERROR_NO_SPACE -> "No space left";
      case NbdProtocol.ERROR_UNSUPPORTED -> "unsupported request";
      default -> "error " + error;
    };
  }
}
