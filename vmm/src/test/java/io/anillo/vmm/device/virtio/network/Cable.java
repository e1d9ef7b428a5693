package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A cable whose other end is the test. */
final class Cable implements NetworkBackend {
  private final Offloads offloads;
  final List<NetworkFrame> sent = new ArrayList<>();
  Receiver receiver = frame -> false;
  boolean closed;

  Cable(Offloads offloads) {
    this.offloads = offloads;
  }

  @Override
  public void start(Receiver newReceiver) {
    receiver = newReceiver;
  }

  @Override
  public void send(NetworkFrame frame) {
    byte[] copy = Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length());
    sent.add(
        new NetworkFrame(
            copy,
            0,
            copy.length,
            frame.checksumStart(),
            frame.checksumOffset(),
            frame.segmentation(),
            frame.segmentBytes()));
  }

  @Override
  public Offloads offloads() {
    return offloads;
  }

  @Override
  public void close() {
    closed = true;
  }
}
