package io.anillo.vmm.device.virtio.block;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A disk (virtio 1.2 §5.2).
 *
 * <p>A request is taken from its queue on the board, executed by the backend on another thread, and
 * completed on the board when its result arrives. Many are under way at once and complete in any
 * order, as on real disks; a flush covers the writes that the guest had seen completed before,
 * because those had returned from the backend.
 *
 * <p>Bounds: one request moves at most {@link #MAXIMUM_REQUEST_BYTES}, all requests under way hold
 * at most {@link #MAXIMUM_BYTES_IN_FLIGHT}; further ones wait in the guest's own ring.
 */
public final class VirtioBlockDevice extends VirtioDevice {
  static final int SECTOR_BYTES = 512;
  static final int STATUS_OK = 0;
  static final int STATUS_ERROR = 1;
  static final int STATUS_UNSUPPORTED = 2;

  /** Most bytes that one request may read or write; larger ones fail. */
  public static final int MAXIMUM_REQUEST_BYTES = 16 << 20;

  /** Most bytes held for requests under way. */
  public static final int MAXIMUM_BYTES_IN_FLIGHT = 32 << 20;

  /** Sectors per discard or write-zeroes segment: 2 GiB. */
  static final int MAXIMUM_SEGMENT_SECTORS = 1 << 22;

  static final int MAXIMUM_DISCARD_SEGMENTS = 16;

  /** Feature bits (virtio 1.2 §5.2.3). */
  public static final long SEGMENTS_MAXIMUM = 1L << 2,
      READ_ONLY = 1L << 5,
      BLOCK_SIZE = 1L << 6,
      FLUSH = 1L << 9,
      TOPOLOGY = 1L << 10,
      CONFIGURABLE_CACHE = 1L << 11,
      MULTIPLE_QUEUES = 1L << 12,
      DISCARD = 1L << 13,
      WRITE_ZEROES = 1L << 14;

  private static final int TYPE = 2;
  private static final int HEADER_BYTES = 16;
  private static final int CONFIGURATION_BYTES = 72;
  private static final int WRITEBACK_OFFSET = 32;

  /** In a payload: not a request's result but the disk's new size. */
  private static final int SLOT_CAPACITY = -1;

  private static final byte[] NO_DATA = {};

  private final VirtioBlockConfig config;
  private final BlockBackend backend;
  private final EventChannel channel;
  private final VirtioBlockMetrics metrics = new VirtioBlockMetrics();

  /** Requests by slot; a slot is reused when its request is complete. */
  private final @Nullable Request[] requests;

  private final int[] freeSlots;
  private int freeCount;
  private final int[] inFlightPerQueue;
  private int inFlight;
  private long bytesInFlight;
  private long nextNumber = 1;
  private boolean writeback = true;
  private final byte[] header = new byte[HEADER_BYTES];
  private final byte[] statusByte = new byte[1];
  private DescriptorChain spare = new DescriptorChain();

  /** A request that the device has taken and not completed. */
  private static final class Request {
    DescriptorChain chain = new DescriptorChain();
    boolean active;
    int queue;
    long number;
    BlockOperation operation = BlockOperation.UNSUPPORTED;
    int dataBytes;

    /** Null while nothing is under way in the backend: between a pause and the resume. */
    @Nullable BlockWork work;
  }

  /** Makes a disk on a backend, which the device closes when it is stopped. */
  public VirtioBlockDevice(VirtioBlockConfig config, BlockBackend backend, Board board) {
    super(config.name(), TYPE, board, CONFIGURATION_BYTES, queueSizes(config));
    this.config = config;
    this.backend = backend;
    this.channel = board.channel(config.name(), this::apply);
    int slots = config.queues() * config.queueSize();
    this.requests = new Request[slots];
    this.freeSlots = new int[slots];
    this.inFlightPerQueue = new int[config.queues()];
    for (int i = 0; i < slots; i++) {
      freeSlots[i] = slots - 1 - i;
    }
    this.freeCount = slots;
    fillConfiguration(backend.sizeBytes() / SECTOR_BYTES);
  }

  private static int[] queueSizes(VirtioBlockConfig config) {
    int[] sizes = new int[config.queues()];
    java.util.Arrays.fill(sizes, config.queueSize());
    return sizes;
  }

  public VirtioBlockMetrics metrics() {
    return metrics;
  }

  // ---- configuration (§5.2.4)
  // ---------------------------------------------------------------------------------------

  private void fillConfiguration(long capacitySectors) {
    int physical = Math.max(backend.preferredBlockBytes(), config.logicalBlockBytes());
    int exponent = Integer.numberOfTrailingZeros(physical / config.logicalBlockBytes());
    configuration.putLong(0, capacitySectors);
    configuration.putInt(12, config.queueSize() - 2);
    configuration.putInt(20, config.logicalBlockBytes());
    configuration.put(24, (byte) exponent);
    configuration.putShort(26, (short) (1 << exponent));
    configuration.putInt(28, 0);
    configuration.put(WRITEBACK_OFFSET, (byte) 1);
    configuration.putShort(34, (short) config.queues());
    configuration.putInt(36, MAXIMUM_SEGMENT_SECTORS);
    configuration.putInt(40, MAXIMUM_DISCARD_SEGMENTS);
    configuration.putInt(44, physical / SECTOR_BYTES);
    configuration.putInt(48, MAXIMUM_SEGMENT_SECTORS);
    configuration.putInt(52, MAXIMUM_DISCARD_SEGMENTS);
    configuration.put(56, (byte) 1);
  }

  private long capacitySectors() {
    return configuration.getLong(0);
  }

  @Override
  protected long deviceFeatures() {
    long features = SEGMENTS_MAXIMUM | BLOCK_SIZE | FLUSH | TOPOLOGY | CONFIGURABLE_CACHE;
    features |= backend.readOnly() ? READ_ONLY : DISCARD | WRITE_ZEROES;
    return config.queues() > 1 ? features | MULTIPLE_QUEUES : features;
  }

  @Override
  protected void configurationWritten(int offset, int sizeBytes, int value) {
    if (offset == WRITEBACK_OFFSET && sizeBytes == 1 && negotiated(CONFIGURABLE_CACHE)) {
      writeback = (value & 1) != 0;
      configuration.put(WRITEBACK_OFFSET, (byte) (value & 1));
    }
  }

  /** Whether a write may be completed before it is durable (§5.2.6.2). */
  private boolean cached() {
    return negotiated(FLUSH) && (writeback || !negotiated(CONFIGURABLE_CACHE));
  }

  /** Tells the guest the backend's size after it has grown. May be called from any thread. */
  public void announceCapacity() {
    byte[] payload = new byte[BlockWork.HEADER_BYTES];
    ByteBuffer.wrap(payload).putInt(SLOT_CAPACITY).putLong(backend.sizeBytes() / SECTOR_BYTES);
    channel.post(payload);
  }

  // ---- requests (§5.2.6)
  // --------------------------------------------------------------------------------------------

  @Override
  protected void serve(VirtQueue queue) {
    int budget = 2 * queue.size();
    boolean answered = false;
    do {
      while (budget > 0 && mayTake(queue) && queue.poll(spare)) {
        budget--;
        int dataBytes = transferBytes(spare);
        if (bytesInFlight > 0 && bytesInFlight + dataBytes > MAXIMUM_BYTES_IN_FLIGHT) {
          queue.unpoll();
          budget = 0;
          break;
        }
        answered |= take(queue);
      }
    } while (budget > 0 && mayTake(queue) && !queue.requestNotifications());
    if (answered) {
      interrupt(queue);
    }
    if (budget == 0 && inFlight == 0 && running()) {
      continueLater();
    }
  }

  /** No more requests under way than the queue has entries, whatever the driver claims. */
  private boolean mayTake(VirtQueue queue) {
    return running() && inFlightPerQueue[queue.index()] < queue.size();
  }

  /** Bytes that a request would have the device hold: what is beyond its header and status. */
  private static int transferBytes(DescriptorChain chain) {
    long bytes = chain.readableBytes() - HEADER_BYTES + chain.writableBytes() - 1;
    return Math.clamp(bytes, 0, MAXIMUM_REQUEST_BYTES);
  }

  /**
   * Begins the request in {@link #spare}.
   *
   * @return true when it has been answered already
   */
  private boolean take(VirtQueue queue) {
    DescriptorChain chain = spare;
    if (chain.readableBytes() < HEADER_BYTES || chain.writableBytes() < 1) {
      fail("queue " + queue.index() + ": block request without header or status");
      return false;
    }
    int slot = freeSlots[--freeCount];
    Request request = requests[slot];
    if (request == null) {
      request = new Request();
      requests[slot] = request;
    }
    spare = request.chain;
    request.chain = chain;
    hold(request, queue.index());
    metrics.mostInFlight = Math.max(metrics.mostInFlight, inFlight);
    return begin(slot, request);
  }

  private void hold(Request request, int queue) {
    request.active = true;
    request.queue = queue;
    request.number = nextNumber++;
    request.work = null;
    request.dataBytes = transferBytes(request.chain);
    bytesInFlight += request.dataBytes;
    inFlight++;
    inFlightPerQueue[queue]++;
  }

  private void release(int slot, Request request) {
    request.active = false;
    request.work = null;
    bytesInFlight -= request.dataBytes;
    inFlight--;
    inFlightPerQueue[request.queue]--;
    freeSlots[freeCount++] = slot;
  }

  /** Parses a held request and hands it to the backend, or answers it at once and returns true. */
  private boolean begin(int slot, Request request) {
    DescriptorChain chain = request.chain;
    chain.read(memory(), 0, header, 0, HEADER_BYTES);
    ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
    request.operation = BlockOperation.of(fields.getInt(0));
    long sector = fields.getLong(8);
    long out = chain.readableBytes() - HEADER_BYTES;
    long in = chain.writableBytes() - 1;
    return switch (request.operation) {
      case READ -> {
        metrics.reads++;
        yield transfer(slot, request, sector, in, NO_DATA);
      }
      case WRITE -> {
        metrics.writes++;
        byte[] data =
            backend.readOnly() || !transferable(sector, out) ? NO_DATA : payload(chain, out);
        yield backend.readOnly()
            ? answer(slot, request, STATUS_ERROR, 0)
            : transfer(slot, request, sector, out, data);
      }
      case FLUSH -> {
        metrics.flushes++;
        yield execute(slot, request, 0, 0, NO_DATA, false);
      }
      case GET_ID -> answerIdentity(slot, request, in);
      case DISCARD, WRITE_ZEROES -> {
        metrics.discards++;
        yield segments(slot, request, out);
      }
      case UNSUPPORTED -> answer(slot, request, STATUS_UNSUPPORTED, 0);
    };
  }

  private boolean transferable(long sector, long lengthBytes) {
    return lengthBytes % SECTOR_BYTES == 0
        && lengthBytes <= MAXIMUM_REQUEST_BYTES
        && sector >= 0
        && sector <= capacitySectors()
        && lengthBytes / SECTOR_BYTES <= capacitySectors() - sector;
  }

  private byte[] payload(DescriptorChain chain, long lengthBytes) {
    byte[] data = new byte[(int) lengthBytes];
    chain.read(memory(), HEADER_BYTES, data, 0, data.length);
    return data;
  }

  private boolean transfer(int slot, Request request, long sector, long lengthBytes, byte[] data) {
    if (!transferable(sector, lengthBytes)) {
      return answer(slot, request, STATUS_ERROR, 0);
    }
    boolean durable = request.operation == BlockOperation.WRITE && !cached();
    return execute(slot, request, sector * SECTOR_BYTES, (int) lengthBytes, data, durable);
  }

  private boolean segments(int slot, Request request, long lengthBytes) {
    boolean discard = request.operation == BlockOperation.DISCARD;
    if (!negotiated(discard ? DISCARD : WRITE_ZEROES)) {
      return answer(slot, request, STATUS_UNSUPPORTED, 0);
    }
    if (lengthBytes % BlockSegments.SEGMENT_BYTES != 0
        || lengthBytes > MAXIMUM_DISCARD_SEGMENTS * BlockSegments.SEGMENT_BYTES) {
      return answer(slot, request, STATUS_ERROR, 0);
    }
    byte[] data = payload(request.chain, lengthBytes);
    int verdict = BlockSegments.check(data, discard, capacitySectors());
    return verdict == STATUS_OK
        ? execute(slot, request, 0, 0, data, !cached())
        : answer(slot, request, verdict, 0);
  }

  private boolean answerIdentity(int slot, Request request, long room) {
    byte[] identity = new byte[VirtioBlockConfig.SERIAL_BYTES];
    byte[] serial = config.serial().getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(serial, 0, identity, 0, serial.length);
    int length = (int) Math.min(room, identity.length);
    request.chain.write(memory(), 0, identity, 0, length);
    return answer(slot, request, STATUS_OK, length);
  }

  private boolean execute(
      int slot, Request request, long offset, int lengthBytes, byte[] data, boolean flushAfter) {
    BlockWork work =
        new BlockWork(
            backend,
            channel,
            slot,
            request.number,
            request.operation,
            offset,
            lengthBytes,
            data,
            flushAfter);
    request.work = work;
    channel.startExternal(work);
    return false;
  }

  /** Writes the status byte and gives the request back to the driver. */
  private boolean answer(int slot, Request request, int status, long dataWritten) {
    if (status != STATUS_OK) {
      metrics.failures++;
    }
    statusByte[0] = (byte) status;
    request.chain.write(memory(), request.chain.writableBytes() - 1, statusByte, 0, 1);
    boolean whole = dataWritten == request.chain.writableBytes() - 1;
    queue(request.queue).complete(request.chain.head(), whole ? dataWritten + 1 : dataWritten);
    release(slot, request);
    return true;
  }

  // ---- results
  // ------------------------------------------------------------------------------------------------------

  private void apply(byte[] payload) {
    ByteBuffer fields = ByteBuffer.wrap(payload);
    int slot = fields.getInt();
    long number = fields.getLong();
    int status = fields.getInt();
    if (slot == SLOT_CAPACITY) {
      configuration.putLong(0, number);
      configurationChanged();
      return;
    }
    Request request = slot >= 0 && slot < requests.length ? requests[slot] : null;
    if (request == null || !request.active || request.number != number) {
      // The result of a request that a reset, or a restore, has done away with.
      return;
    }
    int length = payload.length - BlockWork.HEADER_BYTES;
    if (request.operation == BlockOperation.READ && status == STATUS_OK) {
      request.chain.write(memory(), 0, payload, BlockWork.HEADER_BYTES, length);
      metrics.readBytes += length;
    } else if (request.operation == BlockOperation.WRITE && status == STATUS_OK) {
      metrics.writtenBytes += request.dataBytes;
    }
    VirtQueue queue = queue(request.queue);
    answer(slot, request, status, length);
    if (running()) {
      interrupt(queue);
      for (int i = 0; i < queueCount(); i++) {
        if (queue(i).waiting() > 0) {
          serve(queue(i));
        }
      }
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  protected void deviceReset() {
    dropRequests(-1);
    writeback = true;
    configuration.put(WRITEBACK_OFFSET, (byte) 1);
  }

  @Override
  protected void queueReset(VirtQueue queue) {
    dropRequests(queue.index());
  }

  /**
   * Ends what is under way for a queue, or for all (-1), so that no late write reaches the disk
   * either.
   */
  private void dropRequests(int queue) {
    for (int slot = 0; slot < requests.length; slot++) {
      Request request = requests[slot];
      if (request != null && request.active && (queue < 0 || request.queue == queue)) {
        if (request.work != null) {
          request.work.withdraw();
        }
        release(slot, request);
      }
    }
  }

  @Override
  protected void pause() {
    for (Request request : requests) {
      if (request != null && request.active && request.work != null && request.work.withdraw()) {
        request.work = null;
      }
    }
  }

  @Override
  protected void start() {
    resume();
  }

  @Override
  protected void resume() {
    for (int slot = 0; slot < requests.length; slot++) {
      Request request = requests[slot];
      if (request != null && request.active && request.work == null) {
        VirtQueue queue = queue(request.queue);
        if (begin(slot, request)) {
          interrupt(queue);
        }
      }
    }
  }

  @Override
  protected void stop() {
    pause();
    try {
      backend.close();
    } catch (IOException e) {
      System.getLogger(VirtioBlockDevice.class.getName())
          .log(System.Logger.Level.WARNING, "closing disk '" + name() + "': " + e.getMessage());
    }
  }

  @Override
  protected void saveDevice(StateWriter out) {
    List<VirtioBlockState.Pending> pending = new ArrayList<>();
    for (Request request : requests) {
      if (request != null && request.active) {
        pending.add(new VirtioBlockState.Pending(request.queue, request.chain));
      }
    }
    new VirtioBlockState(writeback, capacitySectors(), nextNumber, pending).write(name(), out);
  }

  @Override
  protected void restoreDevice(StateReader in) {
    VirtioBlockState state = VirtioBlockState.read(name(), queueCount(), requests.length, in);
    writeback = state.writeback();
    configuration.put(WRITEBACK_OFFSET, (byte) (writeback ? 1 : 0));
    configuration.putLong(0, state.capacitySectors());
    nextNumber = state.nextRequest();
    // New numbers: a result posted before the state was saved finds no request, and the request is
    // executed again.
    for (VirtioBlockState.Pending pending : state.pending()) {
      int slot = freeSlots[--freeCount];
      Request request = new Request();
      requests[slot] = request;
      request.chain = pending.chain();
      hold(request, pending.queue());
    }
  }
}
