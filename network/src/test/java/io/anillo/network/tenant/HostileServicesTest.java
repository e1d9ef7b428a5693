package io.anillo.network.tenant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import io.anillo.network.packet.Bytes;
import io.anillo.network.uplink.DhcpServer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** DHCP messages and DNS questions made of garbage get an answer or none, never an exception. */
class HostileServicesTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20_240_603);
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 100_000);

  private final Random random = new Random(SEED);

  private byte[] mutate(byte[] seed) {
    byte[] message =
        Arrays.copyOf(seed, Math.max(1, seed.length - random.nextInt(4) * random.nextInt(10)));
    for (int i = random.nextInt(6); i > 0; i--) {
      message[random.nextInt(message.length)] = (byte) random.nextInt(256);
    }
    return message;
  }

  @Test
  void dhcp() {
    DhcpServer server =
        new DhcpServer(
            new DhcpServer.Scope(
                0x0a000001, 0xffffff00, 0x0a000001, 0x0a000001, 0x0a000002, 50, 1500, "t"));
    byte[] request = new byte[280];
    Bytes.putInt(request, 0, 0x01010600);
    Bytes.putAddress(request, 28, 0x020000000001L);
    Bytes.putInt(request, 236, 0x63825363);
    byte[] options =
        HexFormat.of().parseHex("350103" + "32040a000002" + "36040a000001" + "3703010306" + "ff");
    System.arraycopy(options, 0, request, 240, options.length);
    int answered = 0;
    for (int round = 0; round < ROUNDS; round++) {
      // Other cards and other wishes, so that the pool runs out too.
      Bytes.putAddress(request, 28, 0x020000000000L + random.nextInt(200));
      request[242] = (byte) random.nextInt(10);
      byte[] message = mutate(request);
      answered += server.answer(message, 0, message.length).isPresent() ? 1 : 0;
    }
    assertThat(answered).as("seed %d", SEED).isBetween(1, ROUNDS - 1);
    long given = 0;
    for (int card = 0; card < 200; card++) {
      given += server.lease(0x020000000000L + card).isPresent() ? 1 : 0;
    }
    assertThat(given).isLessThanOrEqualTo(50);
  }

  @Test
  void dns() {
    byte[] query =
        HexFormat.of()
            .parseHex("123401000001000000000000" + "036f6e65" + "036c616e" + "00" + "00010001");
    int questions = 0;
    for (int round = 0; round < ROUNDS; round++) {
      byte[] message = mutate(query);
      var question = NameService.question(message);
      if (question.isPresent()) {
        questions++;
        assertThatCode(() ->
                NameService.answer(
                    message,
                    question.get(),
                    name ->
                        Optional.of(new NameService.Addresses(1, Optional.of(Ipv6.ALL_NODES)))
                            .filter(found -> (name.hashCode() & 1) == 1)))
            .as("seed %d", SEED)
            .doesNotThrowAnyException();
        assertThat(NameService.refuse(message, question.get())).isNotEmpty();
      }
    }
    assertThat(questions).isBetween(1, ROUNDS - 1);
  }
}
