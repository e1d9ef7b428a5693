package io.anillo.network.uplink;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class EchoServiceTest {
  /** A documentation address (RFC 5737): nobody answers, each try lasts until patience ends. */
  private static final String NOBODY = "192.0.2.%d";

  @Test
  void pingsThatNobodyAnswersHoldUpNobodyElse() throws Exception {
    EchoService service =
        new EchoService(new GuestLink(frame -> true), Optional::of, Runnable::run);
    Endpoint guest = endpoint("10.0.2.15");
    for (int i = 1; i <= 200; i++) {
      service.request(new byte[8], 0, 8, guest, endpoint(NOBODY.formatted(i)), false);
    }
    CountDownLatch others = new CountDownLatch(20);
    for (int i = 0; i < 20; i++) {
      Thread.ofVirtual().start(others::countDown);
    }
    assertThat(others.await(2, TimeUnit.SECONDS)).isTrue();
  }

  private static Endpoint endpoint(String address) throws Exception {
    return Endpoint.of(InetAddress.ofLiteral(address));
  }
}
