package io.anillo.vmm.device.virtio.guest;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.EntropySource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A board with nothing but RAM and buses, whose thread is the test's: events are applied only in
 * {@link #settle} and {@link #applyPosted}. Work outside runs on virtual threads, or waits in
 * {@link #held} while {@link #hold} is set.
 */
public final class TestBoard implements Board, Bus, AutoCloseable {
  private record Posted(EventChannel.Handler handler, byte[] payload) {}

  private record Range<T>(long base, long size, T device) {}

  private final GuestMemory memory;
  private final TreeMap<Long, Range<MmioDevice>> mmio = new TreeMap<>();
  private final TreeMap<Long, Range<PortDevice>> ports = new TreeMap<>();
  private final List<TestTimer> timers = new ArrayList<>();
  private final LinkedBlockingQueue<Posted> posted = new LinkedBlockingQueue<>();
  private final ExecutorService outside = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicInteger under = new AtomicInteger();
  private final Random random = new Random(1);
  public final List<Runnable> held = new ArrayList<>();
  public boolean hold;
  public long now;

  /** Makes a board with so many MiB of RAM. */
  public TestBoard(int mebibytes) {
    memory = new GuestMemory((long) mebibytes << 20);
  }

  /** Makes a board whose RAM is a copy of another's. */
  public static TestBoard copyOf(TestBoard other) {
    TestBoard board = new TestBoard((int) (other.memory.ramBytes() >> 20));
    byte[] ram = new byte[(int) other.memory.ramBytes()];
    other.memory.read(0, ram, 0, ram.length);
    board.memory.write(0, ram, 0, ram.length);
    return board;
  }

  /** Applies everything until nothing is under way and nothing is posted. */
  public void settle() {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (true) {
      applyPosted();
      if (under.get() == 0 && posted.isEmpty() && !expireTimers()) {
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new AssertionError(under.get() + " pieces of work did not end");
      }
      try {
        Posted next = posted.poll(1, TimeUnit.MILLISECONDS);
        if (next != null) {
          next.handler.apply(next.payload);
        }
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
  }

  public void applyPosted() {
    for (Posted next = posted.poll(); next != null; next = posted.poll()) {
      next.handler.apply(next.payload);
    }
  }

  public int postedCount() {
    return posted.size();
  }

  private boolean expireTimers() {
    boolean any = false;
    for (TestTimer timer : timers) {
      if (timer.armed && timer.deadline <= now) {
        timer.armed = false;
        timer.onExpiry.run();
        any = true;
      }
    }
    return any;
  }

  /** Moves the virtual clock and lets timers expire. */
  public void advance(long nanos) {
    now += nanos;
    expireTimers();
  }

  @Override
  public long nowNanos() {
    return now;
  }

  @Override
  public long wallOriginNanos() {
    return 0;
  }

  @Override
  public GuestMemory memory() {
    return memory;
  }

  @Override
  public Bus bus() {
    return this;
  }

  @Override
  public EntropySource entropy() {
    return random::nextBytes;
  }

  @Override
  public BoardTimer timer(String name, Runnable onExpiry) {
    TestTimer timer = new TestTimer(onExpiry);
    timers.add(timer);
    return timer;
  }

  @Override
  public EventChannel channel(String name, EventChannel.Handler handler) {
    return new EventChannel() {
      @Override
      public void post(byte[] payload) {
        posted.add(new Posted(handler, payload));
      }

      @Override
      public void startExternal(Runnable work) {
        if (hold) {
          held.add(work);
          return;
        }
        under.incrementAndGet();
        outside.execute(() -> {
          try {
            work.run();
          } finally {
            under.decrementAndGet();
          }
        });
      }
    };
  }

  @Override
  public void request(MachineRequest request) {}

  @Override
  public void close() {
    outside.close();
    memory.close();
  }

  private static final class TestTimer implements BoardTimer {
    private final Runnable onExpiry;
    private boolean armed;
    private long deadline;

    TestTimer(Runnable onExpiry) {
      this.onExpiry = onExpiry;
    }

    @Override
    public void arm(long deadlineNanos) {
      armed = true;
      deadline = deadlineNanos;
    }

    @Override
    public void cancel() {
      armed = false;
    }

    @Override
    public boolean armed() {
      return armed;
    }

    @Override
    public long deadlineNanos() {
      return deadline;
    }
  }

  // ---- the buses
  // ----------------------------------------------------------------------------------------------------

  private static <T> void map(TreeMap<Long, Range<T>> map, long base, long size, T device) {
    var below = map.floorEntry(base + size - 1);
    if (below != null && below.getValue().base + below.getValue().size > base) {
      throw new IllegalArgumentException("occupied: " + Long.toHexString(base));
    }
    map.put(base, new Range<>(base, size, device));
  }

  private static <T> @org.jspecify.annotations.Nullable Range<T> find(
      TreeMap<Long, Range<T>> map, long address) {
    var below = map.floorEntry(address);
    return below != null && address < below.getValue().base + below.getValue().size
        ? below.getValue()
        : null;
  }

  @Override
  public void mapPorts(int first, int count, PortDevice device) {
    map(ports, first, count, device);
  }

  @Override
  public void unmapPorts(int first, int count) {
    ports.remove((long) first);
  }

  @Override
  public void mapMmio(long base, long sizeBytes, MmioDevice device) {
    map(mmio, base, sizeBytes, device);
  }

  @Override
  public void unmapMmio(long base, long sizeBytes) {
    mmio.remove(base);
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    var range = find(ports, port);
    return range == null ? -1 : range.device.readPort(port, sizeBytes);
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    var range = find(ports, port);
    if (range != null) {
      range.device.writePort(port, sizeBytes, value);
    }
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    var range = find(mmio, address);
    long mask = sizeBytes == 8 ? -1 : (1L << 8 * sizeBytes) - 1;
    return range == null ? mask : range.device.readMmio(address - range.base, sizeBytes) & mask;
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    var range = find(mmio, address);
    if (range != null) {
      range.device.writeMmio(address - range.base, sizeBytes, value);
    }
  }
}
