package io.anillo.vmm.device.virtio.block;

import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * One request on its way through the backend, on a thread that may block. It holds copies of all it
 * needs, never touches guest memory, and posts its result: a header of {@value #HEADER_BYTES} bytes
 * (slot, request number, status) followed by the bytes read.
 *
 * <p>A recording holds exactly these payloads. During a replay the work is never run, so it stays
 * {@code QUEUED}; {@link #withdraw} therefore never waits there.
 */
final class BlockWork implements Runnable {
  static final int HEADER_BYTES = 16;

  private static final System.Logger LOG = System.getLogger(BlockWork.class.getName());

  private enum Stage {
    QUEUED,
    RUNNING,
    DONE,
    WITHDRAWN
  }

  private final BlockBackend backend;
  private final EventChannel channel;
  private final int slot;
  private final long number;
  private final BlockOperation operation;
  private final long offset;
  private final int lengthBytes;
  private final byte[] data;
  private final boolean flushAfter;
  private Stage stage = Stage.QUEUED;

  /**
   * Describes work.
   *
   * @param data what is to be written, or the segments of a discard or write-zeroes request
   * @param flushAfter whether the result must be durable before it is posted
   */
  BlockWork(
      BlockBackend backend,
      EventChannel channel,
      int slot,
      long number,
      BlockOperation operation,
      long offset,
      int lengthBytes,
      byte[] data,
      boolean flushAfter) {
    this.backend = backend;
    this.channel = channel;
    this.slot = slot;
    this.number = number;
    this.operation = operation;
    this.offset = offset;
    this.lengthBytes = lengthBytes;
    this.data = data;
    this.flushAfter = flushAfter;
  }

  /**
   * Makes sure that nothing of this work happens from now on: takes it back if it has not begun,
   * waits for it if it has.
   *
   * @return true when it was taken back and will post nothing; false when it has posted its result
   */
  synchronized boolean withdraw() {
    if (stage == Stage.QUEUED) {
      stage = Stage.WITHDRAWN;
    }
    boolean interrupted = false;
    while (stage == Stage.RUNNING) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return stage == Stage.WITHDRAWN;
  }

  private synchronized boolean begin() {
    if (stage != Stage.QUEUED) {
      return false;
    }
    stage = Stage.RUNNING;
    return true;
  }

  private synchronized void end() {
    stage = Stage.DONE;
    notifyAll();
  }

  @Override
  public void run() {
    if (!begin()) {
      return;
    }
    try {
      boolean read = operation == BlockOperation.READ;
      byte[] payload = new byte[HEADER_BYTES + (read ? lengthBytes : 0)];
      int status = execute(payload);
      if (status != VirtioBlockDevice.STATUS_OK && read) {
        payload = new byte[HEADER_BYTES];
      }
      ByteBuffer.wrap(payload).putInt(slot).putLong(number).putInt(status);
      channel.post(payload);
    } finally {
      end();
    }
  }

  private int execute(byte[] payload) {
    try {
      switch (operation) {
        case READ -> backend.read(offset, ByteBuffer.wrap(payload, HEADER_BYTES, lengthBytes));
        case WRITE -> backend.write(offset, ByteBuffer.wrap(data));
        case FLUSH -> backend.flush();
        case DISCARD, WRITE_ZEROES -> eachSegment();
        case GET_ID, UNSUPPORTED ->
            throw new IllegalStateException(operation + " reached the backend");
      }
      if (flushAfter) {
        backend.flush();
      }
      return VirtioBlockDevice.STATUS_OK;
    } catch (IOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          "disk " + operation + " at " + offset + " failed: " + e.getMessage());
      return VirtioBlockDevice.STATUS_ERROR;
    } catch (RuntimeException e) {
      // A fault of the backend must not leave the guest waiting for ever.
      LOG.log(System.Logger.Level.ERROR, "disk " + operation + " at " + offset + " failed", e);
      return VirtioBlockDevice.STATUS_ERROR;
    }
  }

  private void eachSegment() throws IOException {
    for (int at = 0; at < data.length; at += BlockSegments.SEGMENT_BYTES) {
      long start = BlockSegments.offset(data, at);
      long length = BlockSegments.lengthBytes(data, at);
      if (operation == BlockOperation.DISCARD) {
        backend.discard(start, length);
      } else {
        backend.writeZeroes(start, length, BlockSegments.mayUnmap(data, at));
      }
    }
  }
}
