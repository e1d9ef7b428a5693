package io.anillo.vmm.device.virtio.balloon;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The memory balloon (virtio 1.2 §5.5): the guest gives up as many pages as the host asks for,
 * tells its memory statistics on request, and reports pages that are free anyway. What it gives up
 * goes to a {@link PageRelease}.
 *
 * <p>Queues are numbered by the features agreed on, as drivers do it: inflate, deflate, then
 * statistics if agreed, then reporting; queue 4, the reporting queue's fixed number in the
 * specification, is one as well.
 */
public final class VirtioBalloonDevice extends VirtioDevice {
  /** Feature bits (virtio 1.2 §5.5.3). */
  public static final long STATISTICS = 1L << 1,
      DEFLATE_ON_OUT_OF_MEMORY = 1L << 2,
      PAGE_POISON = 1L << 4,
      PAGE_REPORTING = 1L << 5;

  private static final int TYPE = 5;
  private static final int CONFIGURATION_BYTES = 16;
  private static final int TARGET_OFFSET = 0;
  private static final int ACTUAL_OFFSET = 4;
  private static final int POISON_OFFSET = 12;
  private static final int INFLATE = 0;
  private static final int DEFLATE = 1;
  private static final int STATISTICS_QUEUE = 2;

  /** Most page numbers in one request; Linux sends 256. */
  private static final int MAXIMUM_REQUEST_BYTES = 1 << 16;

  /** First byte of a payload: what is asked. */
  private static final byte SET_TARGET = 0, ASK_STATISTICS = 1;

  private final PageRelease release;
  private final EventChannel channel;
  private final VirtioBalloonMetrics metrics = new VirtioBalloonMetrics();
  private final byte[] scratch = new byte[4096];
  private final long[] statistics = new long[BalloonStatistics.TAGS];
  private volatile BalloonStatistics published;
  private volatile long actualBytes;

  /** The statistics buffer, kept until statistics are asked for (§5.5.6.3). */
  private @Nullable DescriptorChain held;

  /** Makes a balloon of size 0. */
  public VirtioBalloonDevice(String name, PageRelease release, Board board) {
    super(name, TYPE, board, CONFIGURATION_BYTES, 128, 128, 64, 64, 64);
    this.release = release;
    this.channel = board.channel(name, this::apply);
    Arrays.fill(statistics, -1);
    this.published = new BalloonStatistics(statistics);
  }

  public VirtioBalloonMetrics metrics() {
    return metrics;
  }

  // ---- the host's side, from any thread
  // -----------------------------------------------------------------------------

  /**
   * Asks the guest to give up so much of its memory.
   *
   * @param bytes rounded down to pages; 0 gives everything back
   */
  public void setTarget(long bytes) {
    if (bytes < 0 || bytes > memory().ramBytes()) {
      throw new IllegalArgumentException(
          "a balloon of " + bytes + " bytes in a machine of " + memory().ramBytes());
    }
    int pages = (int) (bytes / GuestMemory.PAGE_BYTES);
    channel.post(ByteBuffer.allocate(5).put(SET_TARGET).putInt(pages).array());
  }

  /** The balloon's size as the guest last told it. */
  public long actualBytes() {
    return actualBytes;
  }

  /** Asks the guest for new statistics; they appear in {@link #statistics} when it answers. */
  public void requestStatistics() {
    channel.post(new byte[] {ASK_STATISTICS});
  }

  public BalloonStatistics statistics() {
    return published;
  }

  private void apply(byte[] payload) {
    if (payload[0] == SET_TARGET) {
      configuration.putInt(TARGET_OFFSET, ByteBuffer.wrap(payload).getInt(1));
      configurationChanged();
    } else {
      returnStatisticsBuffer();
    }
  }

  // ---- the guest's side
  // -----------------------------------------------------------------------------------------------

  @Override
  protected long deviceFeatures() {
    return STATISTICS | DEFLATE_ON_OUT_OF_MEMORY | PAGE_POISON | PAGE_REPORTING;
  }

  @Override
  protected void configurationWritten(int offset, int sizeBytes, int value) {
    if (sizeBytes == 4 && (offset == ACTUAL_OFFSET || offset == POISON_OFFSET)) {
      configuration.putInt(offset, value);
      actualBytes = (configuration.getInt(ACTUAL_OFFSET) & 0xFFFF_FFFFL) * GuestMemory.PAGE_BYTES;
    }
  }

  @Override
  protected void serve(VirtQueue queue) {
    switch (queue.index()) {
      case INFLATE -> serveEach(queue, this::inflate);
      case DEFLATE -> serveEach(queue, this::deflate);
      default -> {
        if (queue.index() == STATISTICS_QUEUE && negotiated(STATISTICS)) {
          takeStatistics(queue);
        } else {
          serveEach(queue, this::report);
        }
      }
    }
  }

  private long inflate(DescriptorChain chain) {
    if (tooLong(chain)) {
      return 0;
    }
    // Neighbouring pages are released together: drivers hand them out mostly in runs, up or down.
    long start = 0;
    long end = 0;
    for (long at = 0; at + 4 <= chain.readableBytes(); at += scratch.length) {
      int count = chain.read(memory(), at, scratch, 0, scratch.length) & ~3;
      ByteBuffer numbers = ByteBuffer.wrap(scratch, 0, count).order(ByteOrder.LITTLE_ENDIAN);
      while (numbers.hasRemaining()) {
        long address = (numbers.getInt() & 0xFFFF_FFFFL) << GuestMemory.PAGE_SHIFT;
        if (!memory().isRam(address)) {
          metrics.refusedPages++;
          continue;
        }
        metrics.inflatedPages++;
        if (address == end) {
          end += GuestMemory.PAGE_BYTES;
        } else if (address + GuestMemory.PAGE_BYTES == start) {
          start = address;
        } else {
          release(start, end);
          start = address;
          end = address + GuestMemory.PAGE_BYTES;
        }
      }
    }
    release(start, end);
    return 0;
  }

  private void release(long start, long end) {
    if (end > start) {
      release.release(start, end - start);
    }
  }

  /** Pages come back by being used again: nothing but the count changes. */
  private long deflate(DescriptorChain chain) {
    if (!tooLong(chain)) {
      metrics.deflatedPages += chain.readableBytes() / 4;
    }
    return 0;
  }

  private boolean tooLong(DescriptorChain chain) {
    if (chain.readableBytes() > MAXIMUM_REQUEST_BYTES) {
      fail("balloon request with " + chain.readableBytes() + " bytes of page numbers");
      return true;
    }
    return false;
  }

  /** Free-page reporting (§5.5.6.5): the buffers are the free pages. */
  private long report(DescriptorChain chain) {
    // Pages that the guest expects to hold its poison must keep it.
    boolean keep = negotiated(PAGE_POISON) && configuration.getInt(POISON_OFFSET) != 0;
    if (negotiated(PAGE_REPORTING) && !keep) {
      long mask = GuestMemory.PAGE_BYTES - 1;
      for (int i = 0; i < chain.segments(); i++) {
        long start = chain.address(i) + mask & ~mask;
        long end = chain.address(i) + chain.length(i) & ~mask;
        if (end > start) {
          metrics.reportedBytes += end - start;
          release.release(start, end - start);
        }
      }
    }
    return 0;
  }

  private void takeStatistics(VirtQueue queue) {
    DescriptorChain chain = new DescriptorChain();
    while (running() && queue.poll(chain)) {
      if (held != null) {
        fail("queue " + queue.index() + ": a second statistics buffer");
        return;
      }
      held = chain;
      int length = chain.read(memory(), 0, scratch, 0, scratch.length);
      ByteBuffer records = ByteBuffer.wrap(scratch, 0, length).order(ByteOrder.LITTLE_ENDIAN);
      while (records.remaining() >= BalloonStatistics.RECORD_BYTES) {
        int tag = records.getShort() & 0xFFFF;
        long value = records.getLong();
        if (tag < BalloonStatistics.TAGS) {
          statistics[tag] = value;
        }
      }
      published = new BalloonStatistics(statistics);
      chain = new DescriptorChain();
    }
    queue.requestNotifications();
  }

  private void returnStatisticsBuffer() {
    DescriptorChain chain = held;
    if (chain != null && running()) {
      held = null;
      VirtQueue queue = queue(STATISTICS_QUEUE);
      queue.complete(chain.head(), 0);
      interrupt(queue);
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  protected void deviceReset() {
    // The target is the host's wish and stays.
    held = null;
    configuration.putInt(ACTUAL_OFFSET, 0);
    configuration.putInt(POISON_OFFSET, 0);
    actualBytes = 0;
  }

  @Override
  protected void queueReset(VirtQueue queue) {
    if (queue.index() == STATISTICS_QUEUE) {
      held = null;
    }
  }

  @Override
  protected void saveDevice(StateWriter out) {
    new VirtioBalloonState(
            configuration.getInt(TARGET_OFFSET),
            configuration.getInt(ACTUAL_OFFSET),
            configuration.getInt(POISON_OFFSET),
            statistics,
            Optional.ofNullable(held))
        .write(name(), out);
  }

  @Override
  protected void restoreDevice(StateReader in) {
    VirtioBalloonState state = VirtioBalloonState.read(name(), in);
    configuration.putInt(TARGET_OFFSET, state.targetPages());
    configuration.putInt(ACTUAL_OFFSET, state.actualPages());
    configuration.putInt(POISON_OFFSET, state.poison());
    actualBytes = (state.actualPages() & 0xFFFF_FFFFL) * GuestMemory.PAGE_BYTES;
    System.arraycopy(state.statistics(), 0, statistics, 0, statistics.length);
    published = new BalloonStatistics(statistics);
    held = state.heldBuffer().orElse(null);
  }
}
