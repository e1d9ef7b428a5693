package io.anillo.network.uplink;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.host.HostInterface;
import io.anillo.vmm.port.NetworkFrame;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The Linux kernel's own TCP, in a network namespace behind a TAP device, goes out through the
 * uplink.
 */
class UserNetworkTest {
  private static final String NAMESPACE = "anillo-nat";
  private static final String DEVICE = "aniltap0";
  private static final int FLOODER = 0x0a00024d;

  private EchoServer echo;
  private @Nullable HostInterface tap;
  private @Nullable UserNetwork subject;

  @BeforeEach
  void prepare() throws Exception {
    Peers.require("ip");
    Peers.requireRoot();
    Peers.run(5, "ip", "netns", "del", NAMESPACE);
    echo = new EchoServer();
  }

  @AfterEach
  void clean() throws Exception {
    if (subject != null) {
      subject.close();
    }
    if (tap != null) {
      tap.close();
    }
    if (echo != null) {
      echo.close();
    }
    Peers.run(5, "ip", "netns", "del", NAMESPACE);
  }

  private UserNetwork connect(UserNetworkConfig config, LossyCable.Faults faults) throws Exception {
    HostInterface device = HostInterface.tap(DEVICE);
    tap = device;
    Peers.succeed("ip", "netns", "add", NAMESPACE);
    Peers.succeed("ip", "link", "set", DEVICE, "netns", NAMESPACE);
    inside("ip", "addr", "add", "10.0.2.15/24", "dev", DEVICE);
    inside("ip", "link", "set", "lo", "up");
    inside("ip", "link", "set", DEVICE, "up");
    inside("ip", "route", "add", "default", "via", "10.0.2.2");
    UserNetwork network = new UserNetwork(config);
    subject = network;
    new LossyCable(faults).join(device, network);
    return network;
  }

  private static String inside(String... command) {
    Peers.Result result = insideFor(20, command);
    assertThat(result.exitCode()).as(result.output()).isZero();
    return result.output();
  }

  private static Peers.Result insideFor(int seconds, String... command) {
    List<String> line = new ArrayList<>(List.of("ip", "netns", "exec", NAMESPACE));
    line.addAll(List.of(command));
    return Peers.run(seconds, line.toArray(String[]::new));
  }

  private String client(int seconds, Object... arguments) {
    List<String> line =
        new ArrayList<>(
            List.of(
                System.getProperty("java.home") + "/bin/java",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                NatClient.class.getName()));
    for (Object argument : arguments) {
      line.add(String.valueOf(argument));
    }
    Peers.Result result = insideFor(seconds, line.toArray(String[]::new));
    assertThat(result.output()).endsWith("ok\n");
    return result.output();
  }

  @Test
  void carriesTcpUdpAndEchoOverACleanCable() throws Exception {
    connect(UserNetworkConfig.DEFAULT, LossyCable.Faults.NONE);
    inside("ping", "-c", "2", "-W", "5", "10.0.2.2");
    client(60, "echo", "10.0.2.2", echo.port(), 20_000_000, 0);
    client(30, "udp", "10.0.2.2", echo.port(), 100);
    client(30, "udp", "10.0.2.2", echo.port(), 9000);
    assertThat(client(30, "refused", "10.0.2.2", 1)).contains("refused");
  }

  @Test
  void survivesLossRepetitionAndReordering() throws Exception {
    connect(UserNetworkConfig.DEFAULT, new LossyCable.Faults(20, 20, 30, 42));
    client(120, "echo", "10.0.2.2", echo.port(), 3_000_000, 0);
  }

  @Test
  void fillsTinyWindowsWithoutGettingStuck() throws Exception {
    connect(UserNetworkConfig.DEFAULT, new LossyCable.Faults(5, 5, 5, 7));
    client(120, "echo", "10.0.2.2", echo.port(), 300_000, 2304);
  }

  @Test
  void forwardsPortsToTheGuest() throws Exception {
    UserNetworkConfig parsed = UserNetworkConfig.parse("forward=tcp:0:8080");
    UserNetwork network = connect(parsed, LossyCable.Faults.NONE);
    Process server =
        new ProcessBuilder(
                "ip",
                "netns",
                "exec",
                NAMESPACE,
                System.getProperty("java.home") + "/bin/java",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                NatClient.class.getName(),
                "serve",
                "0.0.0.0",
                "8080")
            .inheritIO()
            .start();
    try {
      int port = network.forwardedPorts().getFirst();
      Exception last = null;
      for (int attempt = 0; attempt < 40; attempt++) {
        try {
          NatClient.echo(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 500_000, 0);
          last = null;
          break;
        } catch (Exception e) {
          last = e;
          Thread.sleep(250);
        }
      }
      assertThat(last).isNull();
    } finally {
      server.destroy();
    }
  }

  @Test
  void connectsThroughABadCableUnderAFloodAndForgetsAll() throws Exception {
    UserNetwork network = connect(UserNetworkConfig.DEFAULT, new LossyCable.Faults(20, 20, 30, 11));
    int connections = Integer.getInteger("anillo.torture.connections", 300);
    AtomicBoolean flooding = new AtomicBoolean(true);
    AtomicInteger openings = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    AtomicLong mostBytes = new AtomicLong();
    // Somebody else at the same gateway opens connections that are never finished, to a server of
    // their own: one whose queue the flood fills would refuse the others, and rightly.
    EchoServer flooded = new EchoServer();
    Thread flood =
        Thread.ofPlatform()
            .start(() -> {
              while (flooding.get()) {
                for (int i = 0; i < 20; i++) {
                  int from = 1024 + openings.getAndIncrement() % 60_000;
                  byte[] opening = HalfOpenFloodTest.opening(FLOODER, from, flooded.port());
                  network.send(NetworkFrame.of(opening));
                }
                most.accumulateAndGet(network.connections(), Math::max);
                mostBytes.accumulateAndGet(network.bufferBytes(), Math::max);
                LockSupport.parkNanos(10_000_000);
              }
            });
    long begin = System.nanoTime();
    try {
      client(150 + connections / 10, "torture", "10.0.2.2", echo.port(), connections);
    } finally {
      flooding.set(false);
      flood.join();
      flooded.close();
    }
    System.out.printf(
        "%,d connections in %d s through 2%% loss, 2%% repetition, 3%% delay; %,d never finished"
            + " beside; at most %,d at a time with %,d bytes%n",
        connections,
        (System.nanoTime() - begin) / 1_000_000_000,
        openings.get(),
        most.get(),
        mostBytes.get());
    // Those of the flood, and all clients that linger.
    assertThat(most.get()).isBetween(100, 2048 + connections);
    assertThat(mostBytes.get()).isLessThan(64L << 20);
    if (connections < 1000) {
      // They would be forgotten within a minute.
      for (int i = Math.max(0, openings.get() - 4096); i < openings.get(); i++) {
        int from = 1024 + i % 60_000;
        network.send(NetworkFrame.of(HalfOpenFloodTest.reset(FLOODER, from, flooded.port())));
      }
    }
    for (int i = 0; i < 1200 && network.connections() > 0; i++) {
      Thread.sleep(100);
    }
    assertThat(network.connections()).isZero();
    assertThat(network.bufferBytes()).isZero();
  }

  @Test
  void servesThousandsOfShortConnectionsAndForgetsThem() throws Exception {
    UserNetwork network = connect(UserNetworkConfig.DEFAULT, new LossyCable.Faults(2, 2, 2, 3));
    int connections = Integer.getInteger("anillo.torture.connections", 2000);
    client(150 + connections / 20, "many", "10.0.2.2", echo.port(), connections);
    Thread.sleep(1500);
    assertThat(network.bufferBytes()).isLessThan(1 << 20);
  }
}
