package io.anillo.storage.nbd;

import static io.anillo.storage.nbd.NbdProtocol.*;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.block.BufferPool;
import io.anillo.storage.block.Extent;
import io.anillo.storage.lock.RangeLocks;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A disk that an NBD server offers. When the connection is lost, requests wait, and once there is
 * another connection all of them are sent again, so none is lost; every one of them may be carried
 * out twice without harm. After too long without a server they fail, and each later one tries
 * again.
 *
 * <p>What a server had acknowledged but not flushed when it crashed is as lost as on a disk.
 */
public final class NbdClient implements BlockDevice {
  private static final int RETRY_MILLIS = 200;

  /** A server that owes an answer and sends none for so long is taken for lost. */
  private static final Duration SILENCE = Duration.ofMinutes(2);

  private static final ScheduledExecutorService WATCH =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("nbd-client-watch").factory());

  private final NbdAddress address;
  private final Duration patience;
  private final Map<Long, ClientRequest> underWay = new ConcurrentHashMap<>();
  private final AtomicLong nextHandle = new AtomicLong(1);
  private final RangeLocks unaligned = new RangeLocks();
  private final AtomicLong connections = new AtomicLong();

  /** Guards sending, and which connection is the present one. */
  private final ReentrantLock sending = new ReentrantLock();

  private final Condition wanted = sending.newCondition();
  private volatile ClientHandshake.@Nullable Agreement connection;
  private boolean abandoned;
  private final ByteBuffer header = ByteBuffer.allocateDirect(REQUEST_BYTES);

  private volatile ClientHandshake.Agreement agreement;
  private volatile long sizeBytes;
  private volatile boolean closed;

  /** When the server was lost, 0 while it answers; of the reader alone. */
  private long lostSince;

  /** When the server last answered, or began to owe an answer. */
  private volatile long heardAt = System.nanoTime();

  private volatile boolean silent;
  private final Duration silence;
  private final ScheduledFuture<?> watch;
  private final Thread reader;

  private NbdClient(
      NbdAddress address, Duration patience, Duration silence, ClientHandshake.Agreement first) {
    this.address = address;
    this.patience = patience;
    this.silence = silence;
    long every = Math.max(1, silence.toMillis() / 4);
    this.watch =
        WATCH.scheduleWithFixedDelay(this::endSilence, every, every, TimeUnit.MILLISECONDS);
    this.agreement = first;
    this.sizeBytes = first.sizeBytes();
    this.reader = Thread.ofPlatform().daemon().name("nbd-client").unstarted(() -> run(first));
  }

  /**
   * Connects to an export.
   *
   * @param patience how long requests wait for a lost server to come back; zero: not at all
   * @throws IOException when there is no such server or export now
   */
  public static NbdClient connect(NbdAddress address, Duration patience) throws IOException {
    return connect(address, patience, SILENCE);
  }

  /**
   * The same with another limit for a server that keeps the connection and answers nothing.
   *
   * @param silence after which the server counts as lost, while it owes an answer
   */
  public static NbdClient connect(NbdAddress address, Duration patience, Duration silence)
      throws IOException {
    try {
      NbdClient client =
          new NbdClient(address, patience, silence, ClientHandshake.connect(address));
      client.reader.start();
      return client;
    } catch (java.net.ConnectException | java.nio.channels.ClosedChannelException failure) {
      throw new IOException("no server answers at " + address, failure);
    } catch (java.net.SocketException | java.net.SocketTimeoutException failure) {
      throw new IOException("no server answers at %s: %s".formatted(address, failure.getMessage()));
    } catch (EOFException ended) {
      throw new IOException("the server at " + address + " ended the connection at once", ended);
    }
  }

  /** Connections made so far, the first included. */
  public long connectionCount() {
    return connections.get();
  }

  /** Ends a connection over which nothing comes although something should. */
  private void endSilence() {
    if (underWay.isEmpty() || System.nanoTime() - heardAt < silence.toNanos()) {
      return;
    }
    // not the lock of senders: one of them may be stuck in sending to this very server
    ClientHandshake.Agreement present = connection;
    if (present != null) {
      silent = true;
      closeQuietly(present.transport());
    }
  }

  private void run(ClientHandshake.Agreement first) {
    ClientHandshake.Agreement current = first;
    while (current != null) {
      IOException end = serve(current);
      if (closed) {
        break;
      }
      current = reconnect(end);
    }
    abandonAll(new IOException("the connection to " + address + " was closed"));
  }

  /** Uses a connection until it ends, and says why it did. */
  private IOException serve(ClientHandshake.Agreement current) {
    ReplyReader replies = new ReplyReader(current, underWay::get);
    long number;
    sending.lock();
    try {
      number = connections.incrementAndGet();
      agreement = current;
      sizeBytes = current.sizeBytes();
      heardAt = System.nanoTime();
      silent = false;
      connection = current;
      abandoned = false;
    } finally {
      sending.unlock();
    }
    if (!underWay.isEmpty()) {
      // the reader must go on reading meanwhile, or both sides might wait for each other
      Thread.ofPlatform().daemon().name("nbd-resend").start(() -> resend(number));
    }
    try {
      while (!closed) {
        ClientRequest complete = replies.next();
        if (complete.error() == ERROR_SHUTDOWN) {
          throw new EOFException("the server shuts down");
        }
        lostSince = 0;
        heardAt = System.nanoTime();
        underWay.remove(complete.handle);
        complete.finish();
      }
      return new EOFException("closed");
    } catch (IOException end) {
      return silent
          ? new IOException("it has answered nothing for " + silence.toSeconds() + " seconds", end)
          : end;
    } finally {
      sending.lock();
      try {
        connection = null;
      } finally {
        sending.unlock();
      }
      closeQuietly(current.transport());
      replies.release();
    }
  }

  private void resend(long number) {
    sending.lock();
    try {
      List<ClientRequest> waiting =
          underWay.values().stream()
              .sorted(java.util.Comparator.comparingLong(request -> request.handle))
              .toList();
      for (ClientRequest request : waiting) {
        if (connection == null || connections.get() != number) {
          return;
        }
        if (request.sentOn != number) {
          transmit(request, number);
        }
      }
    } finally {
      sending.unlock();
    }
  }

  private ClientHandshake.@Nullable Agreement reconnect(IOException reason) {
    if (lostSince == 0) {
      lostSince = System.nanoTime() | 1;
    } else {
      // the connection before this one was of no use either
      pause();
    }
    long giveUpAt = lostSince + patience.toNanos();
    IOException last = reason;
    while (!closed) {
      boolean out = System.nanoTime() - giveUpAt >= 0;
      if (out) {
        IOException why =
            new IOException("the server at %s is gone: %s".formatted(address, last.getMessage()));
        abandonAll(why);
        if (!awaitRequest()) {
          return null;
        }
      }
      try {
        return ClientHandshake.connect(address);
      } catch (IOException failure) {
        last = failure;
      }
      if (!out) {
        pause();
      }
    }
    return null;
  }

  private void pause() {
    try {
      Thread.sleep(RETRY_MILLIS);
    } catch (InterruptedException closing) {
      Thread.currentThread().interrupt();
    }
  }

  /** Waits, without a server, until somebody wants one again. */
  private boolean awaitRequest() {
    sending.lock();
    try {
      abandoned = true;
      while (underWay.isEmpty() && !closed) {
        wanted.await();
      }
      return !closed;
    } catch (InterruptedException closing) {
      return false;
    } finally {
      sending.unlock();
    }
  }

  private void abandonAll(IOException why) {
    for (ClientRequest request : List.copyOf(underWay.values())) {
      underWay.remove(request.handle);
      request.abandon(why);
    }
  }

  private static void closeQuietly(NbdTransport transport) {
    try {
      transport.close();
    } catch (IOException alreadyGone) {
      // of no use any more, which is all that closing is for
    }
  }

  /** Sends over the present connection; if that fails, the reader notices and sees to the rest. */
  private void transmit(ClientRequest request, long number) {
    ClientHandshake.Agreement present = connection;
    if (present == null) {
      return;
    }
    request.begin(number);
    header.clear();
    header.putInt(REQUEST_MAGIC).putShort((short) request.flags).putShort((short) request.type);
    header.putLong(request.handle).putLong(request.offset).putInt(request.length).flip();
    try {
      if (request.is(COMMAND_WRITE)) {
        present.transport().write(header, request.payload());
      } else {
        present.transport().write(header);
      }
    } catch (IOException lost) {
      closeQuietly(present.transport());
    }
  }

  private ClientRequest start(
      int type, int flags, long offset, int length, @Nullable ByteBuffer data) throws IOException {
    ClientRequest request =
        new ClientRequest(nextHandle.getAndIncrement(), type, flags, offset, length, data);
    if (underWay.isEmpty()) {
      heardAt = System.nanoTime();
    }
    underWay.put(request.handle, request);
    sending.lock();
    try {
      if (closed) {
        underWay.remove(request.handle);
        throw new IOException("the connection to " + address + " was closed");
      }
      if (connection != null && request.sentOn != connections.get()) {
        transmit(request, connections.get());
      } else if (abandoned) {
        wanted.signalAll();
      }
    } finally {
      sending.unlock();
    }
    return request;
  }

  private void call(int type, int flags, long offset, int length, @Nullable ByteBuffer data)
      throws IOException {
    start(type, flags, offset, length, data).await(address.toString());
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public int preferredBlockBytes() {
    return Math.max(512, agreement.preferredBlock());
  }

  @Override
  public boolean readOnly() {
    return agreement.has(FLAG_READ_ONLY);
  }

  private boolean aligned(long offset, long length) {
    int unit = agreement.minimumBlock();
    return offset % unit == 0 && length % unit == 0;
  }

  @Override
  public void read(long offset, ByteBuffer destination) throws IOException {
    int length = destination.remaining();
    requireInside(offset, length);
    if (aligned(offset, length)) {
      readAligned(offset, destination);
      return;
    }
    int unit = agreement.minimumBlock();
    long start = offset / unit * unit;
    int whole = Math.toIntExact((offset + length + unit - 1) / unit * unit - start);
    ByteBuffer bounce = BufferPool.take(whole);
    try {
      readAligned(start, bounce);
      int within = (int) (offset - start);
      destination.put(bounce.limit(within + length).position(within));
    } finally {
      BufferPool.give(bounce);
    }
  }

  private void readAligned(long offset, ByteBuffer destination) throws IOException {
    int most = agreement.maximumPayload();
    long at = offset;
    while (destination.hasRemaining()) {
      int count = Math.min(most, destination.remaining());
      ByteBuffer part = destination.slice(destination.position(), count);
      call(COMMAND_READ, 0, at, count, part);
      destination.position(destination.position() + count);
      at += count;
    }
  }

  @Override
  public void write(long offset, ByteBuffer source) throws IOException {
    write(offset, source, 0);
  }

  @Override
  public void writeThrough(long offset, ByteBuffer source) throws IOException {
    boolean forced = agreement.has(FLAG_SEND_FUA);
    write(offset, source, forced ? COMMAND_FLAG_FUA : 0);
    if (!forced) {
      flush();
    }
  }

  private void write(long offset, ByteBuffer source, int flags) throws IOException {
    requireWritable();
    int length = source.remaining();
    requireInside(offset, length);
    if (aligned(offset, length)) {
      writeAligned(offset, source, flags);
      return;
    }
    int unit = agreement.minimumBlock();
    long first = offset / unit;
    long last = (offset + length - 1) / unit;
    ByteBuffer bounce = BufferPool.take(Math.toIntExact((last - first + 1) * unit));
    // two that share a unit must not undo each other's half
    try (RangeLocks.Range held = unaligned.acquire(first, last)) {
      readAligned(first * unit, bounce);
      int end = bounce.position();
      bounce.position((int) (offset - first * unit)).put(source);
      writeAligned(first * unit, bounce.position(0).limit(end), flags);
    } finally {
      BufferPool.give(bounce);
    }
  }

  private void writeAligned(long offset, ByteBuffer source, int flags) throws IOException {
    int most = agreement.maximumPayload();
    long at = offset;
    while (source.hasRemaining()) {
      int count = Math.min(most, source.remaining());
      call(COMMAND_WRITE, flags, at, count, source.slice(source.position(), count));
      source.position(source.position() + count);
      at += count;
    }
  }

  @Override
  public void flush() throws IOException {
    if (!readOnly() && agreement.has(FLAG_SEND_FLUSH)) {
      call(COMMAND_FLUSH, 0, 0, 0, null);
    }
  }

  /** Calls for the aligned middle of a range, in pieces that fit a request. */
  private void inPieces(int type, int flags, long start, long end) throws IOException {
    int unit = Math.max(4096, agreement.minimumBlock());
    long most = (1L << 30) / unit * unit;
    for (long at = start; at < end; ) {
      int count = (int) Math.min(most, end - at);
      call(type, flags, at, count, null);
      at += count;
    }
  }

  @Override
  public void discard(long offset, long length) throws IOException {
    requireWritable();
    requireInside(offset, length);
    int unit = agreement.minimumBlock();
    if (agreement.has(FLAG_SEND_TRIM)) {
      long start = (offset + unit - 1) / unit * unit;
      inPieces(COMMAND_TRIM, 0, start, (offset + length) / unit * unit);
    }
  }

  @Override
  public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
    requireWritable();
    requireInside(offset, length);
    int unit = agreement.minimumBlock();
    long end = offset + length;
    long start = Math.min(end, (offset + unit - 1) / unit * unit);
    long stop = Math.max(start, end / unit * unit);
    if (!agreement.has(FLAG_SEND_WRITE_ZEROES)) {
      start = end;
      stop = end;
    }
    writeZeros(offset, start - offset);
    inPieces(COMMAND_WRITE_ZEROES, mayUnmap ? 0 : COMMAND_FLAG_NO_HOLE, start, stop);
    writeZeros(stop, end - stop);
  }

  private void writeZeros(long offset, long length) throws IOException {
    ByteBuffer zeros = BufferPool.take((int) Math.min(Math.max(1, length), 1 << 20));
    try {
      for (long done = 0; done < length; ) {
        int count = (int) Math.min(length - done, 1 << 20);
        BufferPool.putZeros(zeros.clear().limit(count));
        write(offset + done, zeros.flip());
        done += count;
      }
    } finally {
      BufferPool.give(zeros);
    }
  }

  @Override
  public Extent status(long offset, long length) throws IOException {
    requireInside(offset, length);
    if (agreement.allocationId() < 0) {
      return Extent.data(length);
    }
    int unit = agreement.minimumBlock();
    long start = offset / unit * unit;
    long most = (1L << 31) / unit * unit;
    long end = Math.min(sizeBytes / unit * unit, (offset + length + unit - 1) / unit * unit);
    if (end <= offset) {
      return Extent.data(length);
    }
    int asked = (int) Math.min(most - unit, end - start);
    ClientRequest request =
        start(COMMAND_BLOCK_STATUS, COMMAND_FLAG_REQUEST_ONE, start, asked, null);
    request.await(address.toString());
    int[] extents = request.extents;
    if (extents == null) {
      return Extent.data(Math.min(length, start + asked - offset));
    }
    long run = Integer.toUnsignedLong(extents[0]) - (offset - start);
    int state = extents[1];
    if (run <= 0) {
      throw new IOException("the server at " + address + " tells of an extent without length");
    }
    boolean zero = (state & STATE_ZERO) != 0;
    return new Extent(Math.min(run, length), (state & STATE_HOLE) != 0, zero);
  }

  @Override
  public void resize(long newSizeBytes) throws IOException {
    if (!agreement.has(FLAG_SEND_RESIZE)) {
      throw new IOException("the server at " + address + " cannot change a disk's size");
    }
    call(COMMAND_RESIZE, 0, newSizeBytes, 0, null);
    sizeBytes = newSizeBytes;
  }

  @Override
  public void prefetch(long offset, long length) throws IOException {
    requireInside(offset, length);
    int unit = agreement.minimumBlock();
    if (agreement.has(FLAG_SEND_CACHE)) {
      inPieces(COMMAND_CACHE, 0, offset / unit * unit, (offset + length) / unit * unit);
    }
  }

  /** Says good-bye. Whoever wants what was written to be durable has flushed before. */
  @Override
  public void close() throws IOException {
    watch.cancel(false);
    sending.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      ClientHandshake.Agreement present = connection;
      if (present != null) {
        transmit(
            new ClientRequest(nextHandle.getAndIncrement(), COMMAND_DISCONNECT, 0, 0, 0, null),
            connections.get());
        closeQuietly(present.transport());
      }
      wanted.signalAll();
    } finally {
      sending.unlock();
    }
    reader.interrupt();
    try {
      reader.join();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
