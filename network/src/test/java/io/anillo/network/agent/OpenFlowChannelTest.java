package io.anillo.network.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.RecordingWire;
import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Channels as Open vSwitch's programs open them: TLS both ways, and versions we do not speak. */
class OpenFlowChannelTest {
  private static final byte[] FRAME =
      HexFormat.of().parseHex("02000000000202000000000188b5" + "00".repeat(46));
  private static final char[] PASSWORD = "secret".toCharArray();

  private @TempDir Path folder;
  private VirtualSwitch subject;
  private OpenFlowAgent agent;

  @BeforeEach
  void start() {
    Peers.require("ovs-ofctl", "ovs-testcontroller", "openssl");
    subject = new VirtualSwitch("s1", 0xa11L, Clock.system());
    subject.addPort("p1", new RecordingWire());
    agent = new OpenFlowAgent(subject, OpenFlowAgent.FailMode.SECURE);
  }

  @AfterEach
  void stop() {
    if (agent != null) {
      agent.close();
      subject.close();
    }
  }

  private String file(String name) {
    return folder.resolve(name).toString();
  }

  /** A certificate that both sides have and trust. */
  private SSLContext certificate() throws Exception {
    Peers.succeed(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=switch",
        "-keyout",
        file("key.pem"),
        "-out",
        file("certificate.pem"));
    Peers.succeed(
        "openssl",
        "pkcs12",
        "-export",
        "-inkey",
        file("key.pem"),
        "-in",
        file("certificate.pem"),
        "-passout",
        "pass:secret",
        "-out",
        file("both.p12"));
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream stored = Files.newInputStream(folder.resolve("both.p12"))) {
      keys.load(stored, PASSWORD);
    }
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("peer", keys.getCertificate(keys.aliases().nextElement()));
    KeyManagerFactory own = KeyManagerFactory.getInstance("PKIX");
    own.init(keys, PASSWORD);
    TrustManagerFactory others = TrustManagerFactory.getInstance("PKIX");
    others.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(own.getKeyManagers(), others.getTrustManagers(), null);
    return context;
  }

  private String[] withCertificate(String... command) {
    List<String> line = new ArrayList<>(List.of(command));
    line.addAll(
        1,
        List.of(
            "--private-key=" + file("key.pem"),
            "--certificate=" + file("certificate.pem"),
            "--ca-cert=" + file("certificate.pem")));
    return line.toArray(String[]::new);
  }

  @Test
  void listensWithTls() throws Exception {
    SSLContext tls = certificate();
    int port =
        agent.listen(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            tls.getServerSocketFactory());
    String target = "ssl:127.0.0.1:" + port;
    assertThat(Peers.succeed(withCertificate("ovs-ofctl", "-O", "OpenFlow13", "show", target)))
        .contains("dpid:0000000000000a11", "1(p1)");
    // Who does not speak TLS is not served, and disturbs nobody.
    assertThat(
            Peers.run(20, "ovs-ofctl", "-O", "OpenFlow13", "show", "tcp:127.0.0.1:" + port)
                .exitCode())
        .isNotZero();
    Peers.succeed(
        withCertificate("ovs-ofctl", "-O", "OpenFlow13", "add-flow", target, "actions=NORMAL"));
    assertThat(subject.inspect(() -> subject.table(0).size())).isEqualTo(1);
  }

  @Test
  void callsAControllerWithTls() throws Exception {
    SSLContext tls = certificate();
    int port;
    try (java.net.ServerSocket probe = new java.net.ServerSocket(0)) {
      port = probe.getLocalPort();
    }
    ProcessBuilder builder =
        new ProcessBuilder(
                withCertificate(
                    "ovs-testcontroller", "-O", "OpenFlow13", "pssl:" + port + ":127.0.0.1"))
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    Process controller = builder.start();
    try {
      agent.connect(
          new InetSocketAddress(InetAddress.getLoopbackAddress(), port), tls.getSocketFactory());
      boolean programmed = false;
      for (int i = 0; i < 400 && !programmed; i++) {
        Thread.sleep(50);
        programmed = subject.inspect(() -> subject.table(0).size()) > 0;
      }
      assertThat(programmed).as(Files.readString(folder.resolve("log"))).isTrue();
      assertThat(agent.controllers()).isEqualTo(1);
    } finally {
      controller.destroy();
      controller.waitFor(5, TimeUnit.SECONDS);
    }
  }

  @Test
  void aStandaloneSwitchLearnsWhileItsControllerIsGone() throws Exception {
    RecordingWire second = new RecordingWire();
    subject.addPort("p2", second);
    int port;
    try (java.net.ServerSocket probe = new java.net.ServerSocket(0)) {
      port = probe.getLocalPort();
    }
    try (OpenFlowAgent calling = new OpenFlowAgent(subject, OpenFlowAgent.FailMode.STANDALONE)) {
      Process controller = controller(port);
      calling.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      try {
        await(() -> subject.inspect(() -> subject.table(0).size()) > 0);
        assertThat(steps()).doesNotContain("every flow is ignored");
      } finally {
        controller.destroy();
        controller.waitFor(5, TimeUnit.SECONDS);
      }
      await(() -> steps().contains("every flow is ignored"));
      // What sent all packets to the controller is there still, and decides nothing.
      assertThat(subject.inspect(() -> subject.table(0).size())).isPositive();
      second.take();
      subject.receive(subject.port(1).orElseThrow(), NetworkFrame.of(FRAME));
      assertThat(second.take()).containsExactly(HexFormat.of().formatHex(FRAME));
      controller = controller(port);
      try {
        await(() -> !steps().contains("every flow is ignored"));
      } finally {
        controller.destroy();
        controller.waitFor(5, TimeUnit.SECONDS);
      }
    }
  }

  private Process controller(int port) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder("ovs-testcontroller", "-O", "OpenFlow13", "ptcp:" + port + ":127.0.0.1")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("log").toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    return builder.start();
  }

  /** What a trace says about a frame that comes in at the first port. */
  private String steps() {
    return String.join("\n", subject.trace(new TracedPath.Entry(1, FRAME)).steps());
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    for (int i = 0; i < 1200 && !condition.getAsBoolean(); i++) {
      Thread.sleep(50);
    }
    assertThat(condition.getAsBoolean()).isTrue();
  }

  @Test
  void refusesOtherVersionsClearly() throws Exception {
    int port = agent.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    String target = "tcp:127.0.0.1:" + port;
    for (String version : List.of("OpenFlow10", "OpenFlow11", "OpenFlow12")) {
      Peers.Result refused = Peers.run(20, "ovs-ofctl", "-O", version, "show", target);
      assertThat(refused.exitCode()).as(version).isNotZero();
      assertThat(refused.output()).as(version).contains("version negotiation failed");
    }
    // Who speaks several is answered in 1.3.
    assertThat(Peers.succeed("ovs-ofctl", "-O", "OpenFlow10,OpenFlow13,OpenFlow14", "show", target))
        .contains("OFPT_FEATURES_REPLY (OF1.3)");
  }
}
