package io.anillo.vmm.device;

/**
 * The only way from outside into the machine: payloads that backends post and the board applies, in
 * order, at an instruction boundary. What passes here is what a recording holds and a replay feeds
 * back.
 */
public interface EventChannel {

  /** Posts a payload from any thread. The array must not be changed afterwards. */
  void post(byte[] payload);

  /**
   * Runs work that reaches outside (a disk read, a frame to be sent) on a thread that may block.
   * During a replay nothing is run: its results come from the recording.
   */
  void startExternal(Runnable work);

  /** Applies a payload, on the board. */
  @FunctionalInterface
  interface Handler {
    void apply(byte[] payload);
  }
}
