package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The transmission phase of one connection. Hot: {@code anillo bench storage} watches it.
 *
 * <p>Requests are served on the connection's own thread while the device answers quickly, and as
 * long as there is only one at a time, which saves two thread switches each; else, and for flushes
 * with more requests behind them, they go to the workers so that many are under way at once.
 */
final class ServerSession {
  static final int ALLOCATION_ID = 1;

  private static final int IN_BYTES = 256 << 10;
  private static final int LONG_WRITE_BYTES = 32 << 10;
  private static final int MAX_EXTENTS = 4096;
  private static final int MAX_IN_FLIGHT = 64;

  /**
   * How many threads carry out requests of a device that answers soon: enough to keep a disk busy,
   * and where there are more requests than that, a thread finds its next one without being woken.
   */
  private static final int MODERATE_WORKERS = 16;

  private final NbdTransport transport;
  private final NbdExport export;
  private final BlockDevice device;
  private final boolean structured;
  private final boolean allocation;
  private final ExecutorService workers;
  private final ReplySender replies;
  private final Semaphore inFlight = new Semaphore(MAX_IN_FLIGHT);
  private final Queue<Work> waiting = new ConcurrentLinkedQueue<>();

  /** Threads that take from what waits. */
  private final AtomicInteger working = new AtomicInteger();

  private final ByteBuffer in = BufferPool.take(IN_BYTES).limit(0);

  /**
   * How much to read at once: little before long writes, whose data go to a buffer of their own.
   */
  private int ahead = IN_BYTES;

  private final DevicePace pace = new DevicePace();
  private final RequestWait wait = new RequestWait();

  ServerSession(ServerHandshake.Agreement agreement, ExecutorService workers) {
    this.transport = agreement.transport();
    this.export = agreement.export();
    this.device = export.device();
    this.structured = agreement.structured();
    this.allocation = agreement.allocation();
    this.workers = workers;
    this.replies = new ReplySender(transport, structured);
  }

  private record Request(int flags, int type, long handle, long offset, int length) {
    boolean has(int flag) {
      return (flags & flag) != 0;
    }
  }

  /** Serves until the client leaves or breaks the protocol. */
  void serve() throws IOException {
    try {
      while (true) {
        need(REQUEST_BYTES);
        if (in.getInt() != REQUEST_MAGIC) {
          throw new IOException("the client sent no request where one was due");
        }
        int flags = in.getShort() & 0xffff;
        int type = in.getShort() & 0xffff;
        Request request = new Request(flags, type, in.getLong(), in.getLong(), in.getInt());
        boolean longWrite = request.type == COMMAND_WRITE && request.length > LONG_WRITE_BYTES;
        ahead = longWrite ? REQUEST_BYTES : IN_BYTES;
        if (request.type == COMMAND_DISCONNECT) {
          replies.flush();
          return;
        }
        if (request.type == COMMAND_WRITE) {
          write(request);
        } else if (request.type == COMMAND_READ && worthWaiting(in.remaining())) {
          observe(request, read(request, true));
        } else if (inline(request)) {
          handle(request);
        } else {
          dispatch(() -> handle(request));
        }
      }
    } catch (EOFException end) {
      // an end between requests is how many clients leave
      if (in.hasRemaining()) {
        throw end;
      }
    } finally {
      inFlight.acquireUninterruptibly(MAX_IN_FLIGHT);
      BufferPool.give(in);
      replies.release();
    }
  }

  private boolean inline(Request request) {
    return request.type != COMMAND_READ
        && quick()
        && (request.type == COMMAND_BLOCK_STATUS || in.remaining() < REQUEST_BYTES);
  }

  private boolean quick() {
    // as if there were always more behind it
    return worthWaiting(REQUEST_BYTES);
  }

  /**
   * Whether to serve a request here.
   *
   * @param behind bytes that have been read behind it
   */
  private boolean worthWaiting(int behind) {
    if (pace.trialDue()) {
      inFlight.acquireUninterruptibly(MAX_IN_FLIGHT);
      inFlight.release(MAX_IN_FLIGHT);
      pace.beginTrial();
    }
    return pace.worthWaiting(behind < REQUEST_BYTES && nothingInFlight());
  }

  private boolean nothingInFlight() {
    return inFlight.availablePermits() == MAX_IN_FLIGHT;
  }

  /** Makes sure that so many bytes are in the buffer, sending replies before waiting. */
  private void need(int bytes) throws IOException {
    if (in.remaining() >= bytes) {
      return;
    }
    in.compact().limit(Math.max(ahead, bytes));
    while (in.position() < bytes) {
      replies.flush();
      try {
        wait.read(transport, in, in.position() == 0 && nothingInFlight());
      } catch (IOException failure) {
        in.flip();
        throw failure;
      }
    }
    in.flip();
  }

  private void observe(Request request, long nanos) {
    if (nanos != ReplySender.UNKNOWN) {
      pace.observe(nanos, request.length);
    }
  }

  /** A piece of work that replies. */
  @FunctionalInterface
  private interface Work {
    void run() throws IOException;
  }

  private void dispatch(Work work) throws IOException {
    if (!inFlight.tryAcquire()) {
      replies.flush();
      inFlight.acquireUninterruptibly();
    }
    waiting.add(work);
    if (working.get() < (pace.slow() ? MAX_IN_FLIGHT : MODERATE_WORKERS)) {
      working.incrementAndGet();
      try {
        workers.execute(this::work);
      } catch (RejectedExecutionException closing) {
        // the server takes no more work; what was read before that is done here
        work();
      }
    }
  }

  /** Does what waits until there is nothing more. */
  private void work() {
    do {
      try {
        for (Work work = waiting.poll(); work != null; work = waiting.poll()) {
          work(work);
        }
      } finally {
        working.decrementAndGet();
      }
      // something may have come while this thread still counted, so that no other was called
    } while (!waiting.isEmpty() && working.incrementAndGet() > 0);
  }

  private void work(Work work) {
    boolean done = false;
    try {
      work.run();
      replies.flush();
      done = true;
    } catch (IOException failure) {
      // the client has gone, which closing tells the thread that reads
    } finally {
      if (!done) {
        closeQuietly();
      }
      inFlight.release();
    }
  }

  private void closeQuietly() {
    try {
      transport.close();
    } catch (IOException alreadyGone) {
      // the connection is of no use any more, which is all that closing is for
    }
  }

  private void write(Request request) throws IOException {
    int length = request.length;
    if (length < 0 || length > MAX_PAYLOAD_BYTES) {
      throw new IOException(
          "a write of " + Integer.toUnsignedLong(length) + " bytes is longer than 32 MiB");
    }
    boolean here =
        request.has(COMMAND_FLAG_FUA)
            ? quick() && in.remaining() <= length
            : worthWaiting(in.remaining() - length);
    if (here && length <= LONG_WRITE_BYTES) {
      need(length);
      int end = in.limit();
      int next = in.position() + length;
      in.limit(next);
      long start = System.nanoTime();
      try {
        write(request, in);
      } finally {
        in.limit(end).position(next);
      }
      observe(request, System.nanoTime() - start);
      return;
    }
    ByteBuffer data = BufferPool.take(length);
    int buffered = Math.min(length, in.remaining());
    int end = in.limit();
    data.put(in.limit(in.position() + buffered));
    in.limit(end);
    replies.flush();
    transport.readFully(data);
    data.flip();
    Work work =
        () -> {
          try {
            write(request, data);
          } finally {
            BufferPool.give(data);
          }
        };
    if (here) {
      long start = System.nanoTime();
      work.run();
      observe(request, System.nanoTime() - start);
    } else {
      dispatch(work);
    }
  }

  private void write(Request request, ByteBuffer data) throws IOException {
    run(
        request,
        COMMAND_FLAG_FUA,
        () -> {
          if (request.has(COMMAND_FLAG_FUA)) {
            device.writeThrough(request.offset, data);
          } else {
            device.write(request.offset, data);
          }
        });
  }

  private void handle(Request request) throws IOException {
    switch (request.type) {
      case COMMAND_READ -> read(request, false);
      case COMMAND_FLUSH -> run(request, 0, device::flush);
      case COMMAND_TRIM ->
          run(
              request,
              COMMAND_FLAG_FUA,
              () -> {
                device.discard(request.offset, Integer.toUnsignedLong(request.length));
                flushIfForced(request);
              });
      case COMMAND_WRITE_ZEROES ->
          run(
              request,
              COMMAND_FLAG_FUA | COMMAND_FLAG_NO_HOLE,
              () -> {
                long length = Integer.toUnsignedLong(request.length);
                device.writeZeroes(request.offset, length, !request.has(COMMAND_FLAG_NO_HOLE));
                flushIfForced(request);
              });
      case COMMAND_CACHE ->
          run(
              request,
              0,
              () -> device.prefetch(request.offset, Integer.toUnsignedLong(request.length)));
      case COMMAND_BLOCK_STATUS -> blockStatus(request);
      case COMMAND_RESIZE -> run(request, 0, () -> device.resize(request.offset));
      default -> replies.error(request.handle, ERROR_INVALID, "unknown command " + request.type);
    }
  }

  private void flushIfForced(Request request) throws IOException {
    if (request.has(COMMAND_FLAG_FUA)) {
      device.flush();
    }
  }

  /** Runs a command without an answer of its own and replies with how it went. */
  private void run(Request request, int allowedFlags, Work work) throws IOException {
    boolean changes = request.type != COMMAND_FLUSH && request.type != COMMAND_CACHE;
    if ((request.flags & ~(allowedFlags | COMMAND_FLAG_FUA)) != 0) {
      replies.error(request.handle, ERROR_INVALID, "the command does not take these flags");
    } else if (changes && !export.writable()) {
      replies.error(request.handle, ERROR_NOT_PERMITTED, "the export is read-only");
    } else if (request.type != COMMAND_FLUSH
        && request.type != COMMAND_RESIZE
        && outside(request)) {
      int error = request.type == COMMAND_CACHE ? ERROR_INVALID : ERROR_NO_SPACE;
      replies.error(request.handle, error, "the range reaches beyond the end");
    } else {
      try {
        work.run();
      } catch (IOException failure) {
        replies.error(request.handle, errorOf(failure), String.valueOf(failure.getMessage()));
        return;
      }
      replies.success(request.handle);
    }
  }

  private boolean outside(Request request) {
    long length = Integer.toUnsignedLong(request.length);
    return request.offset < 0 || request.offset > device.sizeBytes() - length;
  }

  /** Returns what the device took, in nanoseconds, or {@link ReplySender#UNKNOWN}. */
  private long read(Request request, boolean alone) throws IOException {
    if ((request.flags & ~(COMMAND_FLAG_DF | COMMAND_FLAG_FUA)) != 0) {
      replies.error(request.handle, ERROR_INVALID, "reading does not take these flags");
    } else if (request.length <= 0 || request.length > MAX_PAYLOAD_BYTES) {
      replies.error(request.handle, ERROR_INVALID, "a read is 1 byte to 32 MiB long");
    } else if (outside(request)) {
      replies.error(request.handle, ERROR_INVALID, "the range reaches beyond the end");
    } else {
      return replies.data(request.handle, device, request.offset, request.length, alone);
    }
    return ReplySender.UNKNOWN;
  }

  private void blockStatus(Request request) throws IOException {
    if (!allocation || !structured) {
      replies.error(request.handle, ERROR_INVALID, "no meta context was agreed");
      return;
    }
    if (request.length == 0 || outside(request)) {
      replies.error(request.handle, ERROR_INVALID, "the range is not inside the disk");
      return;
    }
    boolean one = request.has(COMMAND_FLAG_REQUEST_ONE);
    ByteBuffer extents = ByteBuffer.allocate(one ? 8 : 8 * MAX_EXTENTS);
    long at = request.offset;
    long end = at + Integer.toUnsignedLong(request.length);
    try {
      while (at < end && extents.hasRemaining()) {
        Extent extent = device.status(at, end - at);
        int flags = (extent.hole() ? STATE_HOLE : 0) | (extent.zero() ? STATE_ZERO : 0);
        extents.putInt((int) extent.lengthBytes()).putInt(flags);
        at += extent.lengthBytes();
      }
    } catch (IOException failure) {
      replies.error(request.handle, errorOf(failure), String.valueOf(failure.getMessage()));
      return;
    }
    replies.status(request.handle, ALLOCATION_ID, extents.flip());
  }

  static int errorOf(IOException failure) {
    String message = String.valueOf(failure.getMessage()).toLowerCase(Locale.ROOT);
    if (message.contains("no space left")) {
      return ERROR_NO_SPACE;
    }
    if (message.contains("read-only")) {
      return ERROR_NOT_PERMITTED;
    }
    return ERROR_INPUT_OUTPUT;
  }
}
