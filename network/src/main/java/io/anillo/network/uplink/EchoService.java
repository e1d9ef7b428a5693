package io.anillo.network.uplink;

import io.anillo.network.packet.Bytes;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Answers a guest's echo requests: at once for the gateway's own addresses, else when the host
 * reaches the address, which the JDK finds out by ICMP where it may and by TCP's echo port where it
 * may not.
 */
final class EchoService {
  /** Addresses that are tried at a time, and requests that wait for their turn. */
  private static final int TRIES = 16, WAITING = 48;

  private static final int PATIENCE_MILLIS = 4000;

  /**
   * Threads of the system: the JDK's way of trying an address blocks inside a native method, and a
   * virtual thread would keep one of the few carriers from everybody else meanwhile.
   */
  private final ThreadPoolExecutor triers =
      new ThreadPoolExecutor(
          TRIES,
          TRIES,
          5,
          TimeUnit.SECONDS,
          new LinkedBlockingQueue<>(WAITING),
          Thread.ofPlatform().daemon().name("echo").factory(),
          new ThreadPoolExecutor.DiscardPolicy());

  private final GuestLink link;
  private final Function<Endpoint, Optional<Endpoint>> hostAddress;
  private final Consumer<Runnable> loop;

  /** Creates the service; {@code loop} runs tasks on the uplink's thread. */
  EchoService(
      GuestLink link, Function<Endpoint, Optional<Endpoint>> hostAddress, Consumer<Runnable> loop) {
    triers.allowCoreThreadTimeOut(true);
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
    // What is too much is lost, as pings may be.
    hostAddress
        .apply(target)
        .ifPresent(host -> triers.execute(() -> forward(message, guest, target, host)));
  }

  private void forward(byte[] message, Endpoint guest, Endpoint target, Endpoint host) {
    boolean reached;
    try {
      reached = host.toAddress().isReachable(PATIENCE_MILLIS);
    } catch (IOException e) {
      reached = false;
    }
    if (reached) {
      loop.accept(() -> reply(message, guest, target));
    }
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
