package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.nio.ByteBuffer;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A connection's thread looks for requests that follow closely, and sleeps until others. */
class RequestWaitTest {
  private final ByteBuffer target = ByteBuffer.allocate(1);
  private final RequestWait wait = new RequestWait();
  private final Client client = new Client();

  /** A client whose next request is there at once, or comes late. */
  private static final class Client implements NbdTransport {
    boolean late;
    int looks;
    int reads;

    @Override
    public void read(ByteBuffer target) {
      reads++;
      if (late) {
        LockSupport.parkNanos(2_000_000);
      }
    }

    @Override
    public boolean look(ByteBuffer target, long nanos) {
      looks++;
      return !late;
    }

    @Override
    public void write(ByteBuffer... sources) {}

    @Override
    public void close() {}
  }

  @BeforeEach
  void severalProcessors() {
    assumeThat(Runtime.getRuntime().availableProcessors())
        .as("with one processor there is nobody to look for")
        .isGreaterThan(1);
  }

  private void wait(int times, boolean alone) throws Exception {
    client.looks = 0;
    client.reads = 0;
    for (int i = 0; i < times; i++) {
      wait.read(client, target, alone);
    }
  }

  @Test
  void requestsThatFollowCloselyAreLookedFor() throws Exception {
    wait(1000, true);
    assertThat(client.looks).isGreaterThan(500);
    assertThat(client.looks + client.reads).isEqualTo(1000);
  }

  @Test
  void lookingStopsOnceItIsVainAndBeginsAgain() throws Exception {
    wait(1000, true);
    client.late = true;
    wait(50, true);
    assertThat(client.looks).isLessThanOrEqualTo(12);
    assertThat(client.reads).isEqualTo(50);
    client.late = false;
    wait(1000, true);
    assertThat(client.looks).isGreaterThan(500);
  }

  @Test
  void nobodyLooksWhileOthersUseTheConnection() throws Exception {
    wait(100, false);
    assertThat(client.looks).isZero();
    assertThat(client.reads).isEqualTo(100);
  }
}
