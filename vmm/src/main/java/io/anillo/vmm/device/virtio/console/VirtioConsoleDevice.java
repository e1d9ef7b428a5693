package io.anillo.vmm.device.virtio.console;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.InputGate;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayDeque;

/**
 * A console with one port (virtio 1.2 §5.3): bytes in both directions, the terminal's size, and
 * emergency output through the configuration structure for guests whose queues are not up yet.
 */
public final class VirtioConsoleDevice extends VirtioDevice {
  /** Feature bits (virtio 1.2 §5.3.3). */
  public static final long SIZE = 1L << 0, EMERGENCY_WRITE = 1L << 2;

  /** Most typed bytes kept for a guest that does not read; further ones are dropped. */
  public static final int MAXIMUM_INPUT_BYTES = 1 << 20;

  private static final int TYPE = 3;
  private static final int QUEUE_SIZE = 128;
  private static final int RECEIVE = 0;
  private static final int EMERGENCY_OFFSET = 8;
  private static final int PIECE_BYTES = 4096;

  /**
   * What a payload costs beyond its bytes: a flood of single bytes must not cost forty times the
   * bound.
   */
  private static final int OVERHEAD_BYTES = 40;

  /** First byte of a payload: what follows. */
  private static final byte INPUT = 0, RESIZE = 1;

  private final CharBackend backend;
  private final EventChannel channel;
  private final InputGate gate;
  private final VirtioConsoleMetrics metrics = new VirtioConsoleMetrics();
  private final byte[] scratch = new byte[PIECE_BYTES];

  /** Payloads whose input has not reached the guest; of the first, {@link #consumed} bytes have. */
  private final ArrayDeque<byte[]> input = new ArrayDeque<>();

  private int consumed = 1;

  /** Makes a console on a backend, which the device closes when it is stopped. */
  public VirtioConsoleDevice(String name, CharBackend backend, Board board) {
    super(name, TYPE, board, 12, QUEUE_SIZE, QUEUE_SIZE);
    this.backend = backend;
    this.channel = board.channel(name, this::apply);
    this.gate = new InputGate(channel, MAXIMUM_INPUT_BYTES);
    setSize(80, 25);
    configuration.putInt(4, 1);
  }

  public VirtioConsoleMetrics metrics() {
    return metrics;
  }

  /** Tells the guest the terminal's new size. May be called from any thread. */
  public void resize(int columns, int rows) {
    channel.post(
        new byte[] {
          RESIZE, (byte) (columns >>> 8), (byte) columns, (byte) (rows >>> 8), (byte) rows
        });
  }

  private void setSize(int columns, int rows) {
    configuration.putShort(0, (short) columns);
    configuration.putShort(2, (short) rows);
  }

  @Override
  protected long deviceFeatures() {
    return SIZE | EMERGENCY_WRITE;
  }

  @Override
  protected void configurationWritten(int offset, int sizeBytes, int value) {
    if (offset == EMERGENCY_OFFSET) {
      scratch[0] = (byte) value;
      output(scratch, 1);
    }
  }

  private void output(byte[] data, int length) {
    metrics.outputBytes += length;
    backend.write(data, 0, length);
  }

  // ---- queues
  // -------------------------------------------------------------------------------------------------------

  @Override
  protected void serve(VirtQueue queue) {
    if (queue.index() == RECEIVE) {
      deliver();
    } else {
      serveEach(queue, this::transmit);
    }
  }

  private long transmit(DescriptorChain chain) {
    for (long at = 0; at < chain.readableBytes(); at += PIECE_BYTES) {
      output(scratch, chain.read(memory(), at, scratch, 0, PIECE_BYTES));
    }
    return 0;
  }

  /** Moves input into the guest's buffers, as far as there are both. */
  private void deliver() {
    VirtQueue queue = queue(RECEIVE);
    if (!input.isEmpty() && running() && queue.enabled()) {
      serveWhile(queue, () -> !input.isEmpty(), this::receive);
    }
  }

  private long receive(DescriptorChain chain) {
    long written = 0;
    while (written < chain.writableBytes() && !input.isEmpty()) {
      byte[] first = input.getFirst();
      int count = chain.write(memory(), written, first, consumed, first.length - consumed);
      if (count == 0) {
        break;
      }
      written += count;
      consumed += count;
      if (consumed == first.length) {
        gate.consumed(first.length + OVERHEAD_BYTES);
        input.removeFirst();
        consumed = 1;
      }
    }
    metrics.inputBytes += written;
    return written;
  }

  // ---- input
  // --------------------------------------------------------------------------------------------------------

  /** Called by the backend, on any thread. */
  private void receive(byte[] data, int offset, int length) {
    if (length > 0 && gate.reserve(length + 1 + OVERHEAD_BYTES)) {
      byte[] payload = new byte[length + 1];
      payload[0] = INPUT;
      System.arraycopy(data, offset, payload, 1, length);
      gate.enter(payload);
    }
  }

  private void apply(byte[] payload) {
    if (payload[0] == INPUT) {
      input.add(payload);
      deliver();
    } else {
      setSize(
          (payload[1] & 0xFF) << 8 | payload[2] & 0xFF,
          (payload[3] & 0xFF) << 8 | payload[4] & 0xFF);
      configurationChanged();
    }
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  protected void deviceReset() {
    // What was typed before a driver came is kept for it: only delivery begins anew.
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
    try {
      backend.close();
    } catch (IOException e) {
      System.getLogger(VirtioConsoleDevice.class.getName())
          .log(System.Logger.Level.WARNING, "closing console '" + name() + "': " + e.getMessage());
    }
  }

  @Override
  protected void saveDevice(StateWriter out) {
    ByteArrayOutputStream waiting = new ByteArrayOutputStream();
    int skip = consumed;
    for (byte[] payload : input) {
      waiting.write(payload, skip, payload.length - skip);
      skip = 1;
    }
    new VirtioConsoleState(
            configuration.getShort(0) & 0xFFFF,
            configuration.getShort(2) & 0xFFFF,
            waiting.toByteArray())
        .write(name(), out);
  }

  @Override
  protected void restoreDevice(StateReader in) {
    VirtioConsoleState state = VirtioConsoleState.read(name(), in);
    setSize(state.columns(), state.rows());
    input.clear();
    consumed = 1;
    if (state.input().length > 0) {
      byte[] payload = new byte[state.input().length + 1];
      System.arraycopy(state.input(), 0, payload, 1, state.input().length);
      input.add(payload);
    }
  }
}
