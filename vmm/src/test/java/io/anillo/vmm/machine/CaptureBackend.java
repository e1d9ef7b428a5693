package io.anillo.vmm.machine;

import io.anillo.vmm.port.CharBackend;
import java.io.ByteArrayOutputStream;

/** A line whose other end is a test. */
public final class CaptureBackend implements CharBackend {
  private final ByteArrayOutputStream output;
  private volatile Receiver receiver = (data, offset, length) -> {};

  public CaptureBackend(ByteArrayOutputStream output) {
    this.output = output;
  }

  /** Sends to the guest. */
  public void type(String text) {
    byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    receiver.receive(bytes, 0, bytes.length);
  }

  /** What could be sent without loss. */
  public int room() {
    return receiver.room();
  }

  @Override
  public void start(Receiver newReceiver) {
    receiver = newReceiver;
  }

  @Override
  public void write(byte[] data, int offset, int length) {
    output.write(data, offset, length);
  }

  @Override
  public void close() {}
}
