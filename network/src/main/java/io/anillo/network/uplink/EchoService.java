package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Answers a guest's echo requests: at once for the gateway's own addresses, else when the host
 * reaches the address, which the JDK finds out by ICMP where it may and by TCP's echo port where it
 * may not.
 */
final class EchoService {
  private static final int MAXIMUM_PENDING = 64;
  private static final int PATIENCE_MILLIS = 4000;

  private final GuestLink link;
  private final Function<Endpoint, Optional<Endpoint>> hostAddress;
  private final Consumer<Runnable> loop;
  private final Semaphore pending = new Semaphore(MAXIMUM_PENDING);

  /** Creates the service; {@code loop} runs tasks on the uplink's thread. */
  EchoService(
      GuestLink link, Function<Endpoint, Optional<Endpoint>> hostAddress, Consumer<Runnable> loop) {
    this.link = link;
    this.hostAddress = hostAddress;
    this.loop = loop;
  }

  /** An echo request whose ICMP message lies at {@code at}. */
  void request(byte[] data, int at, int length, Endpoint guest, Endpoint target, boolean own) {
    byte[] message = Arrays.copyOfRange(data, at, at + length);
    if (own) {
      reply(message, guest, target);
      return;
    }
    Optional<Endpoint> host = hostAddress.apply(target);
    if (host.isEmpty() || !pending.tryAcquire()) {
      return;
    }
    Thread.ofVirtual()
        .name("echo")
        .start(() -> {
          boolean reached;
          try {
            reached = host.get().toAddress().isReachable(PATIENCE_MILLIS);
          } catch (IOException e) {
            reached = false;
          } finally {
            pending.release();
          }
          if (reached) {
            loop.accept(() -> reply(message, guest, target));
          }
        });
  }

  private void reply(byte[] message, Endpoint guest, Endpoint target) {
    int protocol = target.isIpv4() ? 1 : 58;
    int at = link.begin(target, guest, protocol);
    byte[] frame = link.buffer();
    System.arraycopy(message, 0, frame, at, message.length);
    Bytes.putShort(frame, at, protocol == 1 ? 0 : 129 << 8);
    link.send(protocol, message.length, 2);
  }
}
