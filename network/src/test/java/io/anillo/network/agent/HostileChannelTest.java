package io.anillo.network.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.network.RecordingWire;
import io.anillo.network.controller.Controller;
import io.anillo.network.controller.LearningSwitch;
import io.anillo.network.controller.MultipathRouting;
import io.anillo.network.controller.Topology;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.openflow.ActionCodec;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.openflow.TraceMessage;
import io.anillo.network.openflow.WireWriter;
import io.anillo.network.packet.MatchField;
import io.anillo.network.tenant.Outside;
import io.anillo.network.tenant.TenantNetworks;
import io.anillo.vmm.port.Clock;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A switch whose controllers, and a controller whose switches, send damaged messages of all types
 * over real channels: errors of the protocol or the channel's end, and the next one is served.
 */
class HostileChannelTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 20_240_604);
  private static final int ROUNDS = Integer.getInteger("anillo.fuzz.rounds", 20_000);
  private static final byte[] FRAME =
      HexFormat.of()
          .parseHex(
              "020000000002020000000001080045000028123400004006000a0a0000010a00000203e8005000000007"
                  + "00000009500400000000000000000000");

  private final Queue<Throwable> escaped = new ConcurrentLinkedQueue<>();
  private Thread.UncaughtExceptionHandler before;

  @BeforeEach
  void watch() {
    before = Thread.getDefaultUncaughtExceptionHandler();
    Thread.setDefaultUncaughtExceptionHandler((thread, exception) -> escaped.add(exception));
  }

  @AfterEach
  void unwatch() {
    Thread.setDefaultUncaughtExceptionHandler(before);
  }

  /** A peer that calls, sends damaged messages, and calls again when its channel has ended. */
  private final class Attacker implements AutoCloseable {
    private final Random random;
    private final int port;
    private final List<Message> opening;
    private OpenFlowConnection connection;
    private int channels;

    Attacker(long seed, int port, List<Message> opening) throws IOException {
      random = new Random(seed);
      this.port = port;
      this.opening = opening;
      connection = call();
    }

    private OpenFlowConnection call() throws IOException {
      channels++;
      Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
      OpenFlowConnection called = new OpenFlowConnection(socket);
      called.send(Message.hello(1));
      for (Message message : opening) {
        called.send(message);
      }
      Thread.ofVirtual()
          .start(() -> {
            try {
              while (true) {
                called.read();
              }
            } catch (IOException e) {
              called.close();
            }
          });
      return called;
    }

    void send(List<Message> corpus) throws IOException {
      Message message = damage(corpus.get(random.nextInt(corpus.size())));
      if (connection.isClosed()) {
        connection = call();
      }
      try {
        connection.send(message);
      } catch (IOException e) {
        connection = call();
      }
    }

    private Message damage(Message message) {
      byte[] body = message.body().clone();
      if (random.nextInt(4) == 0) {
        body = Arrays.copyOf(body, random.nextInt(body.length + 9));
      }
      for (int i = random.nextInt(5); i > 0 && body.length > 0; i--) {
        // Small values are lengths, types and numbers of things that exist.
        int value = random.nextBoolean() ? random.nextInt(256) : random.nextInt(6);
        body[random.nextInt(body.length)] = (byte) value;
      }
      int type = random.nextInt(64) == 0 ? random.nextInt(256) : message.type();
      int version = random.nextInt(256) == 0 ? random.nextInt(256) : Message.VERSION;
      return new Message(version, type, random.nextInt(), body);
    }

    @Override
    public void close() {
      connection.close();
    }
  }

  private static InetSocketAddress anyPort() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  private static List<Message> ofController() {
    List<Message> corpus = new ArrayList<>();
    for (int type = 0; type < 30; type++) {
      for (int length : new int[] {0, 8, 16, 40}) {
        corpus.add(new Message(type, 1, new byte[length]));
      }
    }
    for (int kind = 0; kind <= Multipart.PORT_DESCRIPTION; kind++) {
      corpus.add(Multipart.request(1, kind, new byte[0]));
      corpus.add(Multipart.request(1, kind, new byte[40]));
    }
    List<Action> actions =
        List.of(
            new Action.PushVlan(0x8100),
            new Action.SetField(MatchField.VLAN_VID, 0x1005),
            new Action.SetField(MatchField.IPV4_DST, 7),
            new Action.Group(1),
            new Action.Track(true, false, 3, List.of(), 4, 0, List.of()),
            new Action.Resubmit(1, 2),
            new Action.Move(MatchField.ETH_SRC, 0, MatchField.ETH_DST, 0, 48),
            new Action.Output(2));
    Match match =
        Match.builder()
            .set(MatchField.ETH_TYPE, 0x0800)
            .set(MatchField.IP_PROTO, 6)
            .set(MatchField.TCP_DST, 80)
            .build();
    Instructions instructions = Instructions.apply(actions.toArray(Action[]::new)).withGoto(1);
    for (int table = 0; table < 3; table++) {
      for (Match of : List.of(match, Match.ANY)) {
        corpus.add(FlowCodec.writeFlowMod(1, FlowModification.add(table, 5, of, instructions), -1));
      }
    }
    List<Group.Bucket> buckets =
        List.of(new Group.Bucket(actions.get(7)), new Group.Bucket(new Action.Group(2)));
    for (Group.Type type : Group.Type.values()) {
      for (int command = 0; command < 3; command++) {
        corpus.add(FlowCodec.writeGroupMod(1, new FlowCodec.GroupMod(command, 1, type, buckets)));
      }
    }
    Meter.Band band = new Meter.Band(true, 1000, 100, 0);
    for (int command = 0; command < 3; command++) {
      corpus.add(FlowCodec.writeMeterMod(1, new FlowCodec.MeterMod(command, 1, 1, List.of(band))));
    }
    WireWriter encoded = new WireWriter();
    ActionCodec.write(encoded, actions);
    WireWriter out = new WireWriter().u32(-1).u32(1).u16(encoded.length()).zero(6);
    corpus.add(new Message(Message.PACKET_OUT, 1, out.bytes(encoded.toByteArray()).bytes(FRAME)));
    corpus.add(TraceMessage.request(1, new TracedPath.Entry(1, FRAME)));
    return corpus;
  }

  private static List<Message> ofSwitch() {
    List<Message> corpus = new ArrayList<>(ofController());
    byte[] lldp = FRAME.clone();
    System.arraycopy(HexFormat.of().parseHex("0180c200000e"), 0, lldp, 0, 6);
    System.arraycopy(HexFormat.of().parseHex("88cc0207076162"), 0, lldp, 12, 7);
    byte[] arp =
        HexFormat.of()
            .parseHex(
                "020000000002020000000001080600010800060400010200000000010a0000010200000000020a000002");
    byte[] solicitation =
        HexFormat.of()
            .parseHex(
                "02000000000202000000000186dd6000000000203affffe80000000000000000000000000001fe80000000000"
                    + "00000000000000000028700000000000000fe80000000000000000000000000000201010200000000"
                    + "01");
    for (byte[] frame : List.of(FRAME, lldp, arp, solicitation)) {
      for (int port = 1; port <= 3; port++) {
        WireWriter body = new WireWriter().u32(-1).u16(frame.length).u8(0).u8(0).u64(0);
        MatchCodec.write(body, Match.builder().set(MatchField.IN_PORT, port).build());
        corpus.add(new Message(Message.PACKET_IN, 1, body.zero(2).bytes(frame)));
      }
    }
    for (String name : List.of("lp1", "uplink", "vxlan7f000001")) {
      WireWriter body = new WireWriter().u8(0).zero(7);
      port(2, name).write(body);
      corpus.add(new Message(Message.PORT_STATUS, 1, body));
    }
    corpus.add(ports());
    WireWriter removed = new WireWriter().u64(5).u16(9).u8(0).u8(0).u32(1).u32(1).u16(0).u16(0);
    removed.u64(1).u64(60);
    MatchCodec.write(removed, Match.ANY);
    corpus.add(new Message(Message.FLOW_REMOVED, 1, removed));
    for (int kind = 0; kind <= Multipart.PORT_DESCRIPTION; kind++) {
      WireWriter body = new WireWriter().u16(kind).u16(0).zero(4 + 112);
      corpus.add(new Message(Message.MULTIPART_REPLY, 1, body));
    }
    return corpus;
  }

  private static PortDescription port(int number, String name) {
    return new PortDescription(number, 0x020000000000L + number, name, 0, 4, 10_000_000);
  }

  private static Message ports() {
    WireWriter body = new WireWriter().u16(Multipart.PORT_DESCRIPTION).u16(0).zero(4);
    port(1, "lp1").write(body);
    port(3, "uplink").write(body);
    return new Message(Message.MULTIPART_REPLY, 1, body);
  }

  private static Message features(long datapathId) {
    WireWriter body = new WireWriter().u64(datapathId).u32(0).u8(254).zero(3).u32(71).u32(0);
    return new Message(Message.FEATURES_REPLY, 1, body);
  }

  @Test
  void aSwitchOutlivesItsControllers() throws Exception {
    try (VirtualSwitch subject = new VirtualSwitch("s", 1, Clock.system());
        OpenFlowAgent agent = new OpenFlowAgent(subject, OpenFlowAgent.FailMode.SECURE)) {
      subject.addPort("one", new RecordingWire());
      subject.addPort("two", new RecordingWire());
      int port = agent.listen(anyPort());
      List<Message> corpus = ofController();
      try (Attacker attacker = new Attacker(SEED, port, List.of())) {
        for (int round = 0; round < ROUNDS; round++) {
          attacker.send(corpus);
        }
        System.out.printf("%,d messages to a switch, %,d channels%n", ROUNDS, attacker.channels);
      }
      try (OpenFlowConnection sane =
          new OpenFlowConnection(new Socket(InetAddress.getLoopbackAddress(), port))) {
        sane.setReadTimeoutMillis(60_000);
        sane.send(Message.hello(1));
        sane.send(new Message(Message.FEATURES_REQUEST, 77, new byte[0]));
        Message answer = sane.read();
        while (answer.transaction() != 77) {
          answer = sane.read();
        }
        assertThat(answer.type()).isEqualTo(Message.FEATURES_REPLY);
      }
    }
    assertThat(escaped).isEmpty();
  }

  @Test
  void aPeerThatReadsNothingLosesItsChannel() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        OpenFlowConnection subject =
            new OpenFlowConnection(
                new Socket(InetAddress.getLoopbackAddress(), server.getLocalPort()));
        Socket silent = server.accept()) {
      Message large = new Message(Message.ECHO_REQUEST, 1, new byte[60_000]);
      int offered = 0;
      while (subject.offer(large)) {
        offered++;
      }
      assertThat(offered)
          .as("of 60,000 bytes, beside what the host's sockets take")
          .isLessThan(2000);
      assertThatThrownBy(
              () -> {
                while (true) {
                  subject.send(large);
                }
              })
          .isInstanceOf(IOException.class)
          .hasMessageContaining("closed");
      assertThat(silent.isClosed()).isFalse();
    }
  }

  @Test
  void aControllerOutlivesItsSwitches() throws Exception {
    Topology topology = new Topology();
    try (TenantNetworks networks = new TenantNetworks(Outside.NONE);
        Controller subject =
            new Controller(
                List.of(
                    topology, networks, new MultipathRouting(topology), new LearningSwitch()))) {
      int port = subject.listen(anyPort());
      List<Message> corpus = ofSwitch();
      try (Attacker attacker = new Attacker(SEED + 1, port, List.of(features(9), ports()))) {
        for (int round = 0; round < ROUNDS; round++) {
          attacker.send(corpus);
        }
        System.out.printf(
            "%,d messages to a controller, %,d channels%n", ROUNDS, attacker.channels);
      }
      try (OpenFlowConnection sane =
          new OpenFlowConnection(new Socket(InetAddress.getLoopbackAddress(), port))) {
        sane.send(Message.hello(1));
        sane.send(features(10));
        sane.send(ports());
        for (int i = 0; i < 600 && subject.find(10).isEmpty(); i++) {
          Thread.sleep(100);
        }
        assertThat(subject.find(10)).isPresent();
      }
    }
    assertThat(escaped).isEmpty();
  }
}
