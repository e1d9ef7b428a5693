package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.InputGate;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A network card (virtio 1.2 §5.1): mergeable receive buffers, checksum and TCP segmentation
 * offload as far as the backend understands them, receive filtering, several queue pairs.
 *
 * <p>Frames of the guest are handed to the backend on the board, one at a time. Frames for it enter
 * through a bounded gate and wait, in order, for buffers; what exceeds the bound is dropped, as by
 * a real card. A packet is carried as the bytes that the guest will find, header first.
 */
public final class VirtioNetworkDevice extends VirtioDevice {
  /** Feature bits (virtio 1.2 §5.1.3). */
  public static final long CHECKSUM = 1L << 0,
      GUEST_CHECKSUM = 1L << 1,
      MTU = 1L << 3,
      MAC = 1L << 5,
      GUEST_SEGMENTATION4 = 1L << 7,
      GUEST_SEGMENTATION6 = 1L << 8,
      HOST_SEGMENTATION4 = 1L << 11,
      HOST_SEGMENTATION6 = 1L << 12,
      MERGEABLE_BUFFERS = 1L << 15,
      STATUS = 1L << 16,
      CONTROL_QUEUE = 1L << 17,
      CONTROL_RECEIVE = 1L << 18,
      CONTROL_RECEIVE_EXTRA = 1L << 20,
      MULTIPLE_QUEUES = 1L << 22,
      CONTROL_MAC = 1L << 23;

  /** Most bytes of frames that wait for the guest. */
  public static final int MAXIMUM_BACKLOG_BYTES = 2 << 20;

  private static final int TYPE = 1;
  private static final int CONFIGURATION_BYTES = 12;
  private static final int STATUS_OFFSET = 6;

  /** Largest frame: 64 KiB of IP with Ethernet header and tag. */
  private static final int MAXIMUM_FRAME_BYTES = 65_536 + 18;

  /** What a waiting frame costs beyond its bytes. */
  private static final int OVERHEAD_BYTES = 64;

  /** A payload that is not a frame: link down or up. */
  private static final int LINK_PAYLOAD_BYTES = 1;

  private final VirtioNetworkConfig config;
  private final NetworkBackend backend;
  private final NetworkBackend.Offloads offloads;
  private final EventChannel channel;
  private final InputGate gate;
  private final VirtioNetworkMetrics metrics = new VirtioNetworkMetrics();
  private final ReceiveFilter filter;
  private final ReceiveQueue[] receiveQueues;
  private final byte[] packet = new byte[NetworkHeader.BYTES + MAXIMUM_FRAME_BYTES];
  private final NetworkControl control;
  private int activePairs = 1;

  /**
   * Makes a card with its cable plugged into a backend, which the device closes when it is stopped.
   */
  public VirtioNetworkDevice(VirtioNetworkConfig config, NetworkBackend backend, Board board) {
    super(config.name(), TYPE, board, CONFIGURATION_BYTES, queueSizes(config));
    this.config = config;
    this.backend = backend;
    this.offloads = backend.offloads();
    this.channel = board.channel(config.name(), this::apply);
    this.gate = new InputGate(channel, MAXIMUM_BACKLOG_BYTES);
    this.filter = new ReceiveFilter(config.mac());
    this.receiveQueues = new ReceiveQueue[config.queuePairs()];
    for (int i = 0; i < receiveQueues.length; i++) {
      receiveQueues[i] = new ReceiveQueue(queue(2 * i), board.memory());
    }
    this.control = new NetworkControl(this, filter, board.memory());
    putAddress();
    configuration.putShort(STATUS_OFFSET, (short) 1);
    configuration.putShort(8, (short) config.queuePairs());
    configuration.putShort(10, (short) config.mtuBytes());
  }

  private static int[] queueSizes(VirtioNetworkConfig config) {
    int[] sizes = new int[2 * config.queuePairs() + 1];
    Arrays.fill(sizes, config.queueSize());
    sizes[sizes.length - 1] = 64;
    return sizes;
  }

  public VirtioNetworkMetrics metrics() {
    return metrics;
  }

  /** Frames that arrived and were dropped because the guest did not keep up. */
  public long droppedFrames() {
    return gate.dropped();
  }

  /** Plugs the cable in or out. May be called from any thread. */
  public void setLink(boolean up) {
    channel.post(new byte[] {(byte) (up ? 1 : 0)});
  }

  private boolean linkUp() {
    return (configuration.getShort(STATUS_OFFSET) & 1) != 0;
  }

  void putAddress() {
    for (int i = 0; i < 6; i++) {
      configuration.put(i, (byte) (filter.address() >>> (40 - 8 * i)));
    }
  }

  int queuePairs() {
    return config.queuePairs();
  }

  void setActivePairs(int pairs) {
    activePairs = pairs;
  }

  @Override
  protected long deviceFeatures() {
    long features =
        MTU
            | MAC
            | MERGEABLE_BUFFERS
            | STATUS
            | CONTROL_QUEUE
            | CONTROL_RECEIVE
            | CONTROL_RECEIVE_EXTRA
            | CONTROL_MAC;
    if (config.queuePairs() > 1) {
      features |= MULTIPLE_QUEUES;
    }
    if (offloads.checksum()) {
      features |= CHECKSUM | GUEST_CHECKSUM;
      features |= offloads.segmentation4() ? HOST_SEGMENTATION4 | GUEST_SEGMENTATION4 : 0;
      features |= offloads.segmentation6() ? HOST_SEGMENTATION6 | GUEST_SEGMENTATION6 : 0;
    }
    return features;
  }

  // ---- queues
  // -------------------------------------------------------------------------------------------------------

  /** The control queue follows the queue pairs that the driver knows of (§5.1.2). */
  private int controlQueue() {
    return negotiated(MULTIPLE_QUEUES) ? 2 * config.queuePairs() : 2;
  }

  @Override
  protected void serve(VirtQueue queue) {
    int index = queue.index();
    if (index == controlQueue()) {
      if (negotiated(CONTROL_QUEUE)) {
        serveEach(queue, this::controlled);
      }
    } else if (index < controlQueue()) {
      if ((index & 1) != 0) {
        serveEach(queue, this::transmit);
      } else {
        deliver(receiveQueues[index / 2]);
      }
    }
  }

  private long controlled(DescriptorChain chain) {
    if (chain.writableBytes() < 1) {
      fail("control command without room for the answer");
      return 0;
    }
    return control.execute(chain);
  }

  private long transmit(DescriptorChain chain) {
    long total = chain.readableBytes();
    if (total > packet.length) {
      metrics.refusedFrames++;
      return 0;
    }
    int length = chain.read(memory(), 0, packet, 0, (int) total);
    NetworkFrame frame =
        NetworkHeader.decode(
            packet,
            length,
            negotiated(CHECKSUM),
            negotiated(HOST_SEGMENTATION4),
            negotiated(HOST_SEGMENTATION6));
    if (frame == null) {
      metrics.refusedFrames++;
    } else if (linkUp()) {
      metrics.sentFrames++;
      metrics.sentBytes += frame.length();
      backend.send(frame);
    }
    return 0;
  }

  // ---- receiving
  // ----------------------------------------------------------------------------------------------------

  /** Called by the backend, on any thread. */
  private boolean receive(NetworkFrame frame) {
    if (frame.length() < NetworkHeader.ETHERNET_BYTES
        || frame.length() > MAXIMUM_FRAME_BYTES
        || !gate.reserve(NetworkHeader.BYTES + frame.length() + OVERHEAD_BYTES)) {
      return false;
    }
    gate.enter(NetworkHeader.encode(frame));
    return true;
  }

  private void apply(byte[] payload) {
    if (payload.length == LINK_PAYLOAD_BYTES) {
      configuration.putShort(STATUS_OFFSET, payload[0]);
      configurationChanged();
      return;
    }
    if (!running()
        || !linkUp()
        || !filter.accepts(ReceiveFilter.address(payload, NetworkHeader.BYTES))) {
      metrics.filteredFrames++;
      consumed(payload);
      return;
    }
    ReceiveQueue receiver =
        receiveQueues[activePairs == 1 ? 0 : FlowHash.of(payload) % activePairs];
    if (understood(payload)) {
      receiver.backlog().add(payload);
    } else {
      consumed(payload);
      for (byte[] complete : FrameCompletion.complete(payload)) {
        gate.charge(complete.length + OVERHEAD_BYTES);
        receiver.backlog().add(complete);
      }
    }
    deliver(receiver);
  }

  /** Whether the driver accepted what the frame leaves to be done. */
  private boolean understood(byte[] payload) {
    NetworkFrame frame = NetworkHeader.view(payload);
    boolean segments =
        switch (frame.segmentation()) {
          case NONE -> true;
          case TCP4 -> negotiated(GUEST_SEGMENTATION4);
          case TCP6 -> negotiated(GUEST_SEGMENTATION6);
          case UDP -> false;
        };
    return segments && (frame.checksumStart() < 0 || negotiated(GUEST_CHECKSUM));
  }

  private void consumed(byte[] payload) {
    gate.consumed(payload.length + OVERHEAD_BYTES);
  }

  private void deliver(ReceiveQueue receiver) {
    VirtQueue queue = receiver.queue();
    ArrayDeque<byte[]> backlog = receiver.backlog();
    boolean mergeable = negotiated(MERGEABLE_BUFFERS);
    boolean any = false;
    boolean waiting = true;
    queue.suppressNotifications();
    while (waiting && !backlog.isEmpty() && running() && queue.enabled()) {
      byte[] first = backlog.getFirst();
      switch (receiver.deliver(first, mergeable)) {
        case DELIVERED -> {
          any = true;
          metrics.receivedFrames++;
          metrics.receivedBytes += first.length - NetworkHeader.BYTES;
          consumed(backlog.removeFirst());
        }
        case TOO_LARGE -> {
          metrics.refusedFrames++;
          consumed(backlog.removeFirst());
        }
        case NO_BUFFER -> waiting = running() && !receiver.awaitBuffers();
        case BROKEN -> fail("queue " + queue.index() + ": receive buffer too small for a header");
      }
    }
    queue.publish();
    if (any) {
      interrupt(queue);
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  protected void deviceReset() {
    for (ReceiveQueue receiver : receiveQueues) {
      receiver.backlog().forEach(this::consumed);
      receiver.backlog().clear();
    }
    filter.reset(config.mac());
    activePairs = 1;
    putAddress();
  }

  @Override
  protected void queueReset(VirtQueue queue) {}

  @Override
  protected void start() {
    backend.start(this::receive);
  }

  @Override
  protected void pause() {
    gate.close();
  }

  @Override
  protected void resume() {
    gate.open();
  }

  @Override
  protected void stop() {
    gate.close();
    backend.close();
  }

  @Override
  protected void saveDevice(StateWriter out) {
    List<byte[]> waiting = new ArrayList<>();
    for (ReceiveQueue receiver : receiveQueues) {
      waiting.addAll(receiver.backlog());
    }
    new VirtioNetworkState(linkUp(), activePairs, waiting).write(name(), out);
    filter.save(out);
  }

  @Override
  protected void restoreDevice(StateReader in) {
    VirtioNetworkState state = VirtioNetworkState.read(name(), config.queuePairs(), in);
    filter.restore(in);
    activePairs = state.activePairs();
    configuration.putShort(STATUS_OFFSET, (short) (state.linkUp() ? 1 : 0));
    putAddress();
    for (byte[] waiting : state.backlog()) {
      gate.charge(waiting.length + OVERHEAD_BYTES);
      receiveQueues[activePairs == 1 ? 0 : FlowHash.of(waiting) % activePairs]
          .backlog()
          .add(waiting);
    }
  }
}
