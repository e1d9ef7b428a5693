package io.anillo.network.port;

import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Frames over a stream socket: how a guest in a process of its own is plugged into a switch. Plain,
 * each frame follows its length in four bytes, as in QEMU's stream back end; between our own
 * processes eight bytes about checksum and segmentation stand between.
 *
 * <p>Sending never blocks: when the other side is slow, frames are dropped.
 */
public final class FrameStream implements AutoCloseable {
  private static final int LENGTH = 4;
  private static final int STATE = 8;
  private static final int QUEUE_FRAMES = 1024;
  private static final int BATCH_BYTES = 1 << 18;
  private static final int COMPLETE = 0xffff;

  /** The most frames that are handed over together. */
  private static final int BURST_FRAMES = 16;

  private final SocketChannel channel;
  private final boolean plain;
  private final ArrayBlockingQueue<ByteBuffer> queue = new ArrayBlockingQueue<>(QUEUE_FRAMES);
  private volatile boolean closed;

  public FrameStream(SocketChannel channel, boolean plain) {
    this.channel = channel;
    this.plain = plain;
  }

  /** Whether frames must be complete, because the other side knows of no offloads. */
  public boolean plain() {
    return plain;
  }

  /**
   * Starts reading and writing.
   *
   * @param receiver gets the frames on the reading thread, as many at a time as have come; their
   *     array is valid during the call only
   * @param ended is told once when the other side is gone
   */
  public void start(String name, NetworkBackend.Receiver receiver, Runnable ended) {
    Thread.ofPlatform().daemon().name("frames to " + name).start(this::write);
    Thread.ofPlatform()
        .daemon()
        .name("frames from " + name)
        .start(() -> {
          try {
            read(receiver);
          } catch (IOException e) {
            if (!closed) {
              System.getLogger(FrameStream.class.getName())
                  .log(System.Logger.Level.DEBUG, () -> name + " is gone: " + e.getMessage());
            }
          } finally {
            close();
            ended.run();
          }
        });
  }

  /** Queues a copy of a frame; false when it was dropped. */
  public boolean send(NetworkFrame frame) {
    int header = plain ? LENGTH : LENGTH + STATE;
    ByteBuffer copy = ByteBuffer.allocate(header + frame.length());
    copy.putInt(frame.length());
    if (!plain) {
      copy.putShort((short) (frame.checksumStart() < 0 ? COMPLETE : frame.checksumStart()));
      copy.putShort((short) frame.checksumOffset());
      copy.putShort((short) frame.segmentation().ordinal());
      copy.putShort((short) frame.segmentBytes());
    }
    copy.put(frame.data(), frame.offset(), frame.length()).flip();
    return !closed && queue.offer(copy);
  }

  private void write() {
    ByteBuffer batch = ByteBuffer.allocateDirect(BATCH_BYTES);
    try {
      while (!closed) {
        ByteBuffer next = queue.poll(1, TimeUnit.SECONDS);
        while (next != null) {
          batch.put(next);
          ByteBuffer following = queue.peek();
          next =
              following != null && following.remaining() <= batch.remaining() ? queue.poll() : null;
        }
        batch.flip();
        while (batch.hasRemaining()) {
          channel.write(batch);
        }
        batch.clear();
      }
    } catch (IOException e) {
      close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      close();
    }
  }

  private void read(NetworkBackend.Receiver receiver) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(BATCH_BYTES);
    NetworkFrame[] frames = new NetworkFrame[BURST_FRAMES];
    int header = plain ? LENGTH : LENGTH + STATE;
    while (channel.read(buffer) >= 0) {
      buffer.flip();
      int count = 0;
      while (buffer.remaining() >= header) {
        int length = buffer.getInt(buffer.position());
        if (length < 0 || length > Packet.MAXIMUM_BYTES) {
          throw new IOException("a frame of " + length + " bytes");
        }
        if (buffer.remaining() < header + length) {
          break;
        }
        frames[count++] = decode(buffer, length);
        if (count == BURST_FRAMES) {
          receiver.receive(frames, count);
          count = 0;
        }
      }
      receiver.receive(frames, count);
      buffer.compact();
    }
  }

  private NetworkFrame decode(ByteBuffer buffer, int length) throws IOException {
    buffer.getInt();
    int start = -1;
    int offset = 0;
    NetworkFrame.Segmentation segmentation = NetworkFrame.Segmentation.NONE;
    int segmentBytes = 0;
    if (!plain) {
      int given = buffer.getShort() & 0xffff;
      start = given == COMPLETE ? -1 : given;
      offset = buffer.getShort() & 0xffff;
      int kind = buffer.getShort();
      if (kind < 0 || kind >= NetworkFrame.Segmentation.values().length) {
        throw new IOException("segmentation of kind " + kind);
      }
      segmentation = NetworkFrame.Segmentation.values()[kind];
      segmentBytes = buffer.getShort() & 0xffff;
    }
    int at = buffer.position();
    buffer.position(at + length);
    return new NetworkFrame(buffer.array(), at, length, start, offset, segmentation, segmentBytes);
  }

  @Override
  public void close() {
    closed = true;
    try {
      channel.close();
    } catch (IOException e) {
      System.getLogger(FrameStream.class.getName())
          .log(System.Logger.Level.DEBUG, "closing a stream of frames", e);
    }
  }
}
