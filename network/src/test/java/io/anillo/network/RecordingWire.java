package io.anillo.network;

import io.anillo.network.dataplane.PortWire;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** A wire that remembers the frames sent to it. */
public final class RecordingWire implements PortWire {
  private final List<byte[]> frames = new ArrayList<>();

  @Override
  public synchronized boolean transmit(NetworkFrame frame) {
    frames.add(Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length()));
    return true;
  }

  /** The frames since the last call, in hexadecimal. */
  public synchronized List<String> take() {
    List<String> taken = frames.stream().map(HexFormat.of()::formatHex).toList();
    frames.clear();
    return taken;
  }

  @Override
  public void close() {}
}
