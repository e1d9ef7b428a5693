package io.anillo.vmm.device.virtio.entropy;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.device.virtio.VirtioDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * A source of random bytes (virtio 1.2 §5.4): every buffer is filled at once from the board's
 * entropy. It has no registers and nothing to remember.
 */
public final class VirtioEntropyDevice extends VirtioDevice {
  /** Most bytes given for one request; the driver asks again for more. */
  public static final int MAXIMUM_REQUEST_BYTES = 1 << 16;

  private static final int TYPE = 4;
  private static final int QUEUE_SIZE = 64;

  private final VirtioEntropyMetrics metrics = new VirtioEntropyMetrics();

  public VirtioEntropyDevice(String name, Board board) {
    super(name, TYPE, board, 0, QUEUE_SIZE);
  }

  public VirtioEntropyMetrics metrics() {
    return metrics;
  }

  @Override
  protected long deviceFeatures() {
    return 0;
  }

  @Override
  protected void serve(VirtQueue queue) {
    serveEach(queue, this::fill);
  }

  private long fill(DescriptorChain chain) {
    byte[] bytes = new byte[(int) Math.min(chain.writableBytes(), MAXIMUM_REQUEST_BYTES)];
    board.entropy().fill(bytes);
    metrics.requests++;
    metrics.bytes += bytes.length;
    return chain.write(memory(), 0, bytes, 0, bytes.length);
  }

  @Override
  protected void deviceReset() {}

  @Override
  protected void queueReset(VirtQueue queue) {}

  @Override
  protected void saveDevice(StateWriter out) {}

  @Override
  protected void restoreDevice(StateReader in) {}
}
