package io.anillo.vmm.hypercall;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * One network cable for two: frames go to the guest's receive ring of our own interface once it has
 * given one, and to its network card until then.
 */
public final class CableSplitter implements NetworkBackend {
  private final NetworkBackend cable;
  private volatile @Nullable Receiver ring;

  public CableSplitter(NetworkBackend cable) {
    this.cable = cable;
  }

  /** Names who takes the frames from here on. */
  void divert(Receiver newRing) {
    ring = newRing;
  }

  /** Gives the frames back to the card. */
  void undivert() {
    ring = null;
  }

  @Override
  public void start(Receiver card) {
    cable.start(frame -> {
      Receiver taken = ring;
      return taken != null ? taken.receive(frame) : card.receive(frame);
    });
  }

  @Override
  public void send(NetworkFrame frame) {
    cable.send(frame);
  }

  @Override
  public Offloads offloads() {
    return cable.offloads();
  }

  @Override
  public OptionalLong cardAddress() {
    return cable.cardAddress();
  }

  @Override
  public void close() {
    cable.close();
  }
}
