package io.anillo.vmm.port;

import java.io.IOException;

/** A byte stream in both directions: a terminal, a file, a socket, a test. */
public interface CharBackend extends AutoCloseable {

  /** Begins delivery of input. The receiver may be called from any thread and must not block. */
  void start(Receiver receiver);

  /**
   * Writes guest output. May buffer; called on the board's thread, so it should not block for long.
   */
  void write(byte[] data, int offset, int length);

  @Override
  void close() throws IOException;

  /** Takes bytes that a person or a peer sent to the guest. */
  @FunctionalInterface
  interface Receiver {
    void receive(byte[] data, int offset, int length);

    /**
     * How many bytes can be sent now without any being lost, because the guest reads slowly or does
     * not read yet. From any thread.
     */
    default int room() {
      return Integer.MAX_VALUE;
    }
  }
}
