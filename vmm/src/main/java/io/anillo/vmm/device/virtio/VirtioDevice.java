package io.anillo.vmm.device.virtio;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.BooleanSupplier;

/**
 * What every virtio device is apart from its kind and its transport: status, features, queues and a
 * configuration structure (virtio 1.2 §2).
 *
 * <p>Everything here runs on the board. A subclass serves its queues in {@link #serve}, which is
 * called when the driver notifies, when it has said DRIVER_OK, and after a restore; it must cope
 * with being called with nothing to do.
 */
public abstract class VirtioDevice {
  /** Device status bits (virtio 1.2 §2.1). */
  public static final int ACKNOWLEDGE = 1,
      DRIVER = 2,
      DRIVER_OK = 4,
      FEATURES_OK = 8,
      DEVICE_NEEDS_RESET = 64,
      FAILED = 128;

  /** Feature bits common to all devices (virtio 1.2 §6). */
  public static final long INDIRECT_DESCRIPTORS = 1L << 28,
      EVENT_INDEX = 1L << 29,
      VERSION_1 = 1L << 32,
      RING_RESET = 1L << 40;

  private final String name;
  private final int type;
  private final BoardTimer continuation;
  private final VirtioMetrics metrics = new VirtioMetrics();
  private final DescriptorChain shared = new DescriptorChain();
  private final VirtQueue[] queues;
  protected final Board board;

  /** The configuration structure as the driver reads it, little-endian. */
  protected final ByteBuffer configuration;

  private VirtioTransport transport = VirtioTransport.SILENT;
  private int status;
  private long driverFeatures;
  private int configurationGeneration;
  private String lastFailure = "";

  /**
   * Makes a device.
   *
   * @param name unique on the board
   * @param type the device's number (virtio 1.2 §5)
   * @param configurationBytes length of the device-specific configuration structure
   * @param queueSizes the largest size of each queue, a power of two up to 1024
   */
  protected VirtioDevice(
      String name, int type, Board board, int configurationBytes, int... queueSizes) {
    this.name = name;
    this.type = type;
    this.board = board;
    this.configuration = ByteBuffer.allocate(configurationBytes).order(ByteOrder.LITTLE_ENDIAN);
    this.queues = new VirtQueue[queueSizes.length];
    for (int i = 0; i < queues.length; i++) {
      queues[i] = new VirtQueue(board.memory(), i, queueSizes[i], this::fail);
    }
    this.continuation = board.timer(name + "/continue", this::serveWaiting);
  }

  // ---- what a kind of device says and does
  // --------------------------------------------------------------------------

  /** The features of this kind of device that it offers, without the common ones. */
  protected abstract long deviceFeatures();

  /** Serves what waits in a queue. */
  protected abstract void serve(VirtQueue queue);

  /** The driver is ready to drive; the negotiated features are final. */
  protected void driverReady() {}

  /**
   * The driver wrote to the configuration structure.
   *
   * @param sizeBytes 1, 2 or 4; the range lies inside the structure
   */
  protected void configurationWritten(int offset, int sizeBytes, int value) {}

  /** Drops what is under way; afterwards nothing of it touches guest memory. */
  protected abstract void deviceReset();

  /** Drops what is under way for one queue. */
  protected abstract void queueReset(VirtQueue queue);

  protected void start() {}

  protected void pause() {}

  /** Goes on after a pause, or after a restore. */
  protected void resume() {}

  protected void stop() {}

  protected abstract void saveDevice(StateWriter out);

  protected abstract void restoreDevice(StateReader in);

  // ---- for subclasses
  // -----------------------------------------------------------------------------------------------

  public final String name() {
    return name;
  }

  public final int type() {
    return type;
  }

  public final VirtioMetrics virtioMetrics() {
    return metrics;
  }

  protected final GuestMemory memory() {
    return board.memory();
  }

  public final int queueCount() {
    return queues.length;
  }

  public final VirtQueue queue(int index) {
    return queues[index];
  }

  /** Whether the driver accepted a feature. */
  public final boolean negotiated(long feature) {
    return (driverFeatures & feature) != 0;
  }

  /**
   * Whether requests may be served: the driver is ready, the device is not broken and may reach
   * memory.
   */
  public final boolean running() {
    return (status & (DRIVER_OK | DEVICE_NEEDS_RESET)) == DRIVER_OK && transport.memoryAllowed();
  }

  /** What the driver last did wrong; empty when nothing. */
  public final String lastFailure() {
    return lastFailure;
  }

  /**
   * Stops the device for something the driver did that the device cannot go on from (virtio 1.2
   * §2.1.2).
   */
  protected final void fail(String reason) {
    if ((status & DEVICE_NEEDS_RESET) != 0) {
      return;
    }
    lastFailure = reason;
    metrics.failures++;
    status |= DEVICE_NEEDS_RESET;
    if ((status & DRIVER_OK) != 0) {
      transport.interruptConfiguration();
    }
  }

  /** Tells the driver that {@link #configuration} has changed. */
  protected final void configurationChanged() {
    configurationGeneration = (configurationGeneration + 1) & 0xFF;
    if (running()) {
      transport.interruptConfiguration();
    }
  }

  /**
   * Raises the queue's interrupt if the driver wants it. Called after a batch of requests was
   * published.
   */
  protected final void interrupt(VirtQueue queue) {
    if (queue.interruptWanted()) {
      metrics.interrupts++;
      transport.interruptQueue(queue);
    } else {
      metrics.suppressedInterrupts++;
    }
  }

  /** Handles one request; the chain is valid only during the call. */
  @FunctionalInterface
  protected interface RequestHandler {
    /**
     * Does what the request asks.
     *
     * @return the number of bytes written to the chain, to be reported to the driver
     */
    long handle(DescriptorChain chain);
  }

  /**
   * Serves every request that waits in a queue, each completed when the handler returns. Requests
   * that a driver adds without end on another processor are served in turns, so that the board is
   * not held for ever.
   */
  protected final void serveEach(VirtQueue queue, RequestHandler handler) {
    serveWhile(queue, () -> true, handler);
  }

  /** Like {@link #serveEach}, but takes a request only while there is something for it. */
  protected final void serveWhile(
      VirtQueue queue, BooleanSupplier somethingLeft, RequestHandler handler) {
    int budget = 2 * queue.size();
    boolean any = false;
    do {
      queue.suppressNotifications();
      while (budget > 0 && running() && somethingLeft.getAsBoolean() && queue.poll(shared)) {
        budget--;
        any = true;
        long written = handler.handle(shared);
        queue.put(shared.head(), written);
      }
      queue.publish();
    } while (somethingLeft.getAsBoolean()
        && !queue.requestNotifications()
        && budget > 0
        && running());
    if (any) {
      interrupt(queue);
    }
    if (budget == 0 && running() && somethingLeft.getAsBoolean()) {
      continueLater();
    }
  }

  /** Has all queues served again at the next instruction boundary. */
  protected final void continueLater() {
    continuation.arm(board.nowNanos());
  }

  /** Serves every queue that may be served. */
  final void serveWaiting() {
    for (VirtQueue queue : queues) {
      if (running() && queue.enabled()) {
        serve(queue);
      }
    }
  }

  // ---- for the transport
  // --------------------------------------------------------------------------------------------

  final void connect(VirtioTransport newTransport) {
    transport = newTransport;
  }

  final int configurationBytes() {
    return configuration.capacity();
  }

  final int configurationGeneration() {
    return configurationGeneration;
  }

  final long offeredFeatures() {
    return deviceFeatures() | VERSION_1 | INDIRECT_DESCRIPTORS | EVENT_INDEX | RING_RESET;
  }

  final long driverFeatures() {
    return driverFeatures;
  }

  /** The driver's choice; final once it has said FEATURES_OK. */
  final void setDriverFeatures(long features) {
    if ((status & FEATURES_OK) == 0) {
      driverFeatures = features;
    }
  }

  final int status() {
    return status;
  }

  /** The driver writes the status register (virtio 1.2 §3.1); 0 resets. */
  final void setStatus(int value) {
    if (value == 0) {
      reset();
      return;
    }
    int old = status;
    int wanted = value & 0xFF & ~DEVICE_NEEDS_RESET;
    if ((wanted & FEATURES_OK) != 0 && (old & FEATURES_OK) == 0 && !featuresAcceptable()) {
      wanted &= ~FEATURES_OK;
    }
    if ((wanted & FEATURES_OK) == 0) {
      wanted &= ~DRIVER_OK;
    }
    // Bits are only ever added, until a reset (§2.1.1).
    status = old | wanted;
    if ((status & ~old & DRIVER_OK) != 0) {
      driverReady();
      serveWaiting();
    }
  }

  private boolean featuresAcceptable() {
    return (driverFeatures & ~offeredFeatures()) == 0 && negotiated(VERSION_1);
  }

  final void enableQueue(VirtQueue queue) {
    if ((status & FEATURES_OK) == 0) {
      fail("queue " + queue.index() + ": enabled before the features were agreed");
      return;
    }
    queue.enable(negotiated(INDIRECT_DESCRIPTORS), negotiated(EVENT_INDEX));
    if (running()) {
      serve(queue);
    }
  }

  /** Resets one queue (virtio 1.2 §2.6.1). */
  final void resetQueue(VirtQueue queue) {
    if (negotiated(RING_RESET) && queue.enabled()) {
      queueReset(queue);
      queue.reset();
    }
  }

  final void notified(int queueIndex) {
    metrics.notifications++;
    if (queueIndex < queues.length && running() && queues[queueIndex].enabled()) {
      serve(queues[queueIndex]);
    }
  }

  /** Reads the configuration structure; beyond its end there are zeros. */
  final int readConfiguration(long offset, int sizeBytes) {
    int value = 0;
    for (int i = 0; i < sizeBytes; i++) {
      long at = offset + i;
      if (at >= 0 && at < configuration.capacity()) {
        value |= (configuration.get((int) at) & 0xFF) << (8 * i);
      }
    }
    return value;
  }

  final void writeConfiguration(long offset, int sizeBytes, int value) {
    if (offset >= 0 && offset + sizeBytes <= configuration.capacity()) {
      configurationWritten((int) offset, sizeBytes, value);
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  final void reset() {
    deviceReset();
    for (VirtQueue queue : queues) {
      queue.reset();
    }
    continuation.cancel();
    status = 0;
    driverFeatures = 0;
    lastFailure = "";
  }

  final void save(StateWriter out) {
    out.record(name + "/virtio", 1);
    out.putInt(type).putInt(queues.length);
    out.putInt(status).putLong(driverFeatures).putInt(configurationGeneration);
    out.putBoolean(continuation.armed());
    for (VirtQueue queue : queues) {
      queue.save(out);
    }
    saveDevice(out);
  }

  final void restore(StateReader in) {
    in.record(name + "/virtio", 1);
    int savedType = in.getInt();
    int savedQueues = in.getInt();
    if (savedType != type || savedQueues != queues.length) {
      throw new StateException(
          "the state of '"
              + name
              + "' is of virtio type "
              + savedType
              + " with "
              + savedQueues
              + " queues, but it is "
              + type
              + " with "
              + queues.length);
    }
    status = in.getInt() & 0xFF;
    driverFeatures = in.getLong();
    configurationGeneration = in.getInt() & 0xFF;
    boolean armed = in.getBoolean();
    if ((driverFeatures & ~offeredFeatures()) != 0 && (status & FEATURES_OK) != 0) {
      throw new StateException(
          "the state of '"
              + name
              + "' uses features 0x"
              + Long.toHexString(driverFeatures & ~offeredFeatures())
              + " that this device does not offer");
    }
    for (VirtQueue queue : queues) {
      queue.restore(in);
    }
    restoreDevice(in);
    if (armed) {
      continueLater();
    }
  }
}
