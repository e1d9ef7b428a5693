package io.anillo.network.port;

import io.anillo.network.dataplane.PortReceiver;
import io.anillo.network.dataplane.PortWire;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;

/** A switch port whose guest is in another process, at the other end of a stream. */
public final class StreamWire implements PortWire {
  private final FrameStream stream;

  private StreamWire(FrameStream stream) {
    this.stream = stream;
  }

  /** Adds a port; it goes when the stream ends, and {@code ended} is told. */
  public static SwitchPort attach(
      VirtualSwitch owner, String name, FrameStream stream, Runnable ended) {
    SwitchPort port = owner.addPort(name, new StreamWire(stream));
    stream.start(
        name,
        new PortReceiver(owner, port),
        () -> {
          owner.removePort(port);
          ended.run();
        });
    return port;
  }

  @Override
  public boolean transmit(NetworkFrame frame) {
    return stream.send(frame);
  }

  @Override
  public NetworkBackend.Offloads accepted() {
    return stream.plain()
        ? NetworkBackend.Offloads.NONE
        : new NetworkBackend.Offloads(true, true, true);
  }

  @Override
  public void close() {
    stream.close();
  }
}
