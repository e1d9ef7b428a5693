package io.anillo.vmm.port;

import java.util.OptionalLong;

/**
 * The other end of a guest's network cable.
 *
 * <p>{@link #send} is called by the board with one frame at a time and must neither block nor keep
 * the frame's array beyond the call. Frames for the guest are handed to the receiver given to
 * {@link #start}, from any thread; the receiver copies what it needs before it returns and may drop
 * frames, as a real card does.
 */
public interface NetworkBackend extends AutoCloseable {

  void start(Receiver receiver);

  void send(NetworkFrame frame);

  /** What the backend accepts and delivers beyond plain frames. */
  default Offloads offloads() {
    return Offloads.NONE;
  }

  /** The Ethernet address that the guest's card must have, if it is not free to choose. */
  default OptionalLong cardAddress() {
    return OptionalLong.empty();
  }

  @Override
  void close();

  /** The guest's side of the cable. */
  @FunctionalInterface
  interface Receiver {
    /**
     * Offers a frame to the guest; false when it had to be dropped because the guest's queue is
     * full.
     */
    boolean receive(NetworkFrame frame);

    /**
     * Offers the first {@code count} frames, which came together and lie in memory of their own.
     */
    default void receive(NetworkFrame[] frames, int count) {
      for (int i = 0; i < count; i++) {
        receive(frames[i]);
      }
    }
  }

  /** The offloads that this backend understands, in the terms of virtio 1.2 §5.1.3. */
  record Offloads(boolean checksum, boolean segmentation4, boolean segmentation6) {
    public static final Offloads NONE = new Offloads(false, false, false);
  }
}
