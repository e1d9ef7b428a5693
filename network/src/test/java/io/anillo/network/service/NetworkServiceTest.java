package io.anillo.network.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.network.Peers;
import io.anillo.network.port.FrameStream;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The service of one host, asked as commands and guests ask it. */
class NetworkServiceTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20_240_602);

  private @TempDir Path folder;
  private NetworkService service;

  @BeforeEach
  void start() throws IOException {
    service = NetworkService.start(ServiceConfig.alone(folder));
  }

  @AfterEach
  void stop() {
    service.close();
  }

  private String ask(String operation, Map<String, String> values, String... words)
      throws IOException {
    return ServiceClient.ask(folder, new Request(operation, values, List.of(words)));
  }

  /** A guest in "another process": frames over the control socket. */
  private final class Guest implements AutoCloseable {
    final NetworkBackend backend;
    private final List<String> received = new ArrayList<>();

    Guest(String name) throws IOException {
      backend =
          ServiceClient.plug(
              folder, new Request("plug", Map.of("switch", "lan", "name", name), List.of()));
      backend.start(frame -> {
        byte[] data =
            Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length());
        synchronized (received) {
          received.add(HexFormat.of().formatHex(data));
        }
        return true;
      });
    }

    void send(String frame) {
      backend.send(NetworkFrame.of(HexFormat.of().parseHex(frame)));
    }

    boolean waitFor(String part) throws InterruptedException {
      for (int i = 0; i < 100; i++) {
        synchronized (received) {
          if (received.stream().anyMatch(frame -> frame.contains(part))) {
            return true;
          }
        }
        Thread.sleep(20);
      }
      return false;
    }

    @Override
    public void close() {
      backend.close();
    }
  }

  private static String arp(long ethernet, String sender, String target) {
    String mac = "%012x".formatted(ethernet);
    return "ffffffffffff"
        + mac
        + "0806000108000604"
        + "0001"
        + mac
        + sender
        + "000000000000"
        + target;
  }

  @Test
  void commandsMakeANetworkThatGuestsOfOtherProcessesUse() throws Exception {
    assertThat(ask("create", Map.of("name", "lan", "subnet", "10.7.0.0/24"))).contains("10.7.0.1");
    assertThat(ask("policy", Map.of("name", "web"), "in", "tcp:80", ",", "in", "icmp"))
        .contains("2 rules");
    assertThat(ask("router", Map.of("name", "r", "connect", "lan", "external", "auto")))
        .contains("10.0.2.100");
    try (Guest guest = new Guest("a")) {
      long ethernet = guest.backend.cardAddress().orElseThrow();
      boolean answered = false;
      for (int i = 0; i < 20 && !answered; i++) {
        guest.send(arp(ethernet, "0a070002", "0a070001"));
        answered = guest.waitFor("0002" + "02616e000001" + "0a070001");
      }
      assertThat(answered).isTrue();
      assertThat(ask("show", Map.of())).contains("a", "10.7.0.2", "this host", "10.0.2.100");
      assertThat(ask("trace", Map.of(), "a", "tcp", "1.2.3.4:443"))
          .contains("port default/a", "router default/r", "leave");
      assertThatThrownBy(() -> new Guest("a")).hasMessage("port a has a guest already");
    }
    for (int i = 0; i < 100 && service.networks().model().ports().size() > 0; i++) {
      Thread.sleep(20);
    }
    assertThat(service.networks().model().ports()).isEmpty();
    String picture = ask("show", Map.of("format", "svg"));
    assertThat(
            DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new ByteArrayInputStream(picture.getBytes(StandardCharsets.UTF_8)))
                .getDocumentElement()
                .getTagName())
        .isEqualTo("svg");
  }

  @Test
  void theDescriptionOutlivesTheService() throws Exception {
    ask("create", Map.of("name", "lan", "subnet", "10.7.0.0/24", "subnet6", "fd00:7::/64"));
    ask("policy", Map.of("name", "p"), "in", "tcp:80", "from", "fd00::/8");
    ask("attach", Map.of("switch", "lan", "name", "a", "rate", "10M"));
    ask("attach", Map.of("switch", "lan", "name", "b"));
    ask("mirror", Map.of("name", "m", "source", "a", "target", "b"));
    ask("balance", Map.of("name", "v", "switch", "lan", "address", "10.7.0.9:80"), "a:8080", "b");
    var before = service.networks().model();
    service.close();
    service = NetworkService.start(ServiceConfig.alone(folder));
    assertThat(service.networks().model()).isEqualTo(before);
  }

  private boolean answers(Guest guest) throws InterruptedException {
    synchronized (guest.received) {
      guest.received.clear();
    }
    boolean answered = false;
    for (int i = 0; i < 20 && !answered; i++) {
      guest.send(arp(guest.backend.cardAddress().orElseThrow(), "0a070002", "0a070001"));
      answered = guest.waitFor("0002" + "02616e000001" + "0a070001");
    }
    return answered;
  }

  @Test
  void guestsArePluggedInAgainWhenTheServiceRestarts() throws Exception {
    ask("create", Map.of("name", "lan", "subnet", "10.7.0.0/24"));
    try (Guest guest = new Guest("a")) {
      assertThat(answers(guest)).isTrue();
      var before = service.networks().model().port("default/a");
      service.close();
      service = NetworkService.start(ServiceConfig.alone(folder));
      assertThat(answers(guest)).isTrue();
      var after = service.networks().model().port("default/a");
      assertThat(after.ethernet()).isEqualTo(before.ethernet());
      assertThat(after.address()).isEqualTo(before.address());

      // A port that is taken away does not come back by itself.
      ask("delete", Map.of("kind", "port", "name", "a"));
      Thread.sleep(500);
      assertThat(service.networks().model().ports()).isEmpty();
    }
  }

  @Test
  void aGuestOfAnotherMonitorIsPluggedInAtASocketOfItsPort() throws Exception {
    ask("create", Map.of("name", "lan", "subnet", "10.7.0.0/24"));
    Path socket = folder.resolve("stream");
    ask("attach", Map.of("switch", "lan", "name", "q", "socket", socket.toString()));
    long ethernet = service.networks().model().port("default/q").ethernet();
    // QEMU's stream back end: each frame behind its length. One guest after the other, the third
    // at another run of the service.
    for (int guest = 0; guest < 3; guest++) {
      if (guest == 2) {
        service.close();
        service = NetworkService.start(ServiceConfig.alone(folder));
      }
      try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
        channel.connect(UnixDomainSocketAddress.of(socket));
        LinkedBlockingQueue<String> received = new LinkedBlockingQueue<>();
        FrameStream stream = new FrameStream(channel, true);
        stream.start(
            "the port",
            frame ->
                received.add(
                    HexFormat.of()
                        .formatHex(frame.data(), frame.offset(), frame.offset() + frame.length())),
            () -> {});
        byte[] question = HexFormat.of().parseHex(arp(ethernet, "0a070002", "0a070001"));
        String answer = null;
        for (int i = 0; i < 40 && answer == null; i++) {
          stream.send(NetworkFrame.of(question));
          answer = received.poll(500, TimeUnit.MILLISECONDS);
        }
        assertThat(answer).contains("0002" + "02616e000001" + "0a070001");
      }
    }
  }

  @Test
  void garbageAtTheControlSocketIsRefusedAndTheServiceGoesOn() throws Exception {
    Random random = new Random(SEED);
    String[] lines = {
      "{\"operation\":\"create\",\"values\":{\"name\":\"lan\",\"subnet\":\"10.7.0.0/24\"},\"words\":[]}",
      "{\"operation\":\"policy\",\"values\":{\"name\":\"p\"},\"words\":[\"in\",\"tcp:80\",\"from\",\"10.0.0.0/8\"]}",
      "{\"operation\":\"router\",\"values\":{\"name\":\"r\",\"connect\":\"lan\",\"floating\":\"1.2.3.4=a\"},\"words\":[]}",
      "{\"operation\":\"trace\",\"values\":{},\"words\":[\"a\",\"tcp\",\"10.7.0.3:80\"]}",
      "{\"operation\":\"show\",\"values\":{\"format\":\"json\"},\"words\":[]}",
    };
    for (int round = 0; round < Integer.getInteger("anillo.fuzz.rounds", 100); round++) {
      byte[] line = lines[round % lines.length].getBytes(StandardCharsets.UTF_8);
      for (int i = 1 + random.nextInt(4); i > 0; i--) {
        line[random.nextInt(line.length)] = (byte) (32 + random.nextInt(95));
      }
      try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
        channel.connect(UnixDomainSocketAddress.of(ServiceConfig.socket(folder)));
        ServiceClient.writeLine(channel, new String(line, StandardCharsets.UTF_8));
        assertThat(ServiceClient.readLine(channel))
            .as("%s, seed %d", new String(line, StandardCharsets.UTF_8), SEED)
            .startsWith("{\"done\":");
      }
    }
    assertThat(ask("show", Map.of())).isNotEmpty();
  }

  @Test
  void wrongRequestsAreAnsweredWithASentence() throws Exception {
    assertThatThrownBy(() -> ask("fly", Map.of())).hasMessage("no operation \"fly\"");
    assertThatThrownBy(() -> ask("create", Map.of("name", "lan")))
        .hasMessage("create needs a value for subnet");
    assertThatThrownBy(() -> ask("attach", Map.of("switch", "lan", "name", "a")))
        .hasMessage("there is no switch lan");
    ask("create", Map.of("name", "hall", "subnet", "10.8.0.0/24"));
    ask("policy", Map.of("name", "quiet"));
    ask("attach", Map.of("switch", "hall", "name", "b", "groups", "quiet"));
    assertThatThrownBy(
            () -> ask("attach", Map.of("switch", "hall", "name", "c", "backend", "packet=gone")))
        .hasMessageContaining("gone");
    assertThatThrownBy(() -> ask("capture", Map.of("file", "/none/such"), "b"))
        .hasMessageStartingWith("cannot write to /none/such");
    assertThatThrownBy(() -> ask("delete", Map.of("kind", "switch", "name", "hall")))
        .hasMessage("switch hall is needed by port b; delete or change that first");
    assertThatThrownBy(() -> ask("delete", Map.of("kind", "policy", "name", "quiet")))
        .hasMessageContaining("is needed by port b");
    ask("port", Map.of("name", "b", "groups", "none"));
    ask("delete", Map.of("kind", "policy", "name", "quiet"));
    ask("delete", Map.of("kind", "port", "name", "b"));
    ask("delete", Map.of("kind", "switch", "name", "hall"));
    assertThatThrownBy(() -> NetworkService.start(ServiceConfig.alone(folder)))
        .hasMessageContaining("runs in " + folder + " already");
    assertThatThrownBy(() -> ServiceClient.ask(folder.resolve("none"), Request.of("show")))
        .hasMessageContaining("no network service runs");
  }

  @Test
  void capturesWhatPassesAPort() throws Exception {
    Peers.require("tshark");
    ask("create", Map.of("name", "lan", "subnet", "10.7.0.0/24"));
    Path file = folder.resolve("c.pcapng");
    try (Guest guest = new Guest("a");
        ServiceClient client = ServiceClient.connect(folder)) {
      client.ask(new Request("capture", Map.of("file", file.toString()), List.of("a")));
      guest.send(arp(guest.backend.cardAddress().orElseThrow(), "0a070002", "0a070001"));
      Thread.sleep(300);
      assertThat(client.ask(Request.of("end")).text()).isNotEqualTo("0 frames");
    }
    assertThat(Peers.succeed("tshark", "-r", file.toString())).contains("Who has 10.7.0.1");
  }
}
