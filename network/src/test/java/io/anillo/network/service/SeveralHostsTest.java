package io.anillo.network.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Services of several hosts, joined by VXLAN and OpenFlow over the loopback. */
class SeveralHostsTest {
  private static final int TUNNEL = 27_650;

  private @TempDir Path folder;
  private final List<NetworkService> services = new ArrayList<>();

  @AfterEach
  void stop() {
    services.forEach(NetworkService::close);
  }

  private Path folder(int host) {
    return folder.resolve("h" + host);
  }

  private static InetSocketAddress address(int host, int port) {
    return new InetSocketAddress("127.0.0." + host, port);
  }

  private NetworkService start(
      int host, Optional<InetSocketAddress> listen, List<InetSocketAddress> controllers)
      throws IOException {
    NetworkService started =
        NetworkService.start(
            new ServiceConfig(
                folder(host), "none", 0, Optional.of(address(host, TUNNEL)), listen, controllers));
    services.add(started);
    return started;
  }

  private String ask(int host, String operation, Map<String, String> values, String... words)
      throws IOException {
    return ServiceClient.ask(folder(host), new Request(operation, values, List.of(words)));
  }

  private static void plug(NetworkService at, NetworkService deciding, String name) {
    String real = deciding.networks().model().port("default/" + name).realName();
    at.hostSwitch().addGuest(real);
  }

  private String awaitTrace(int host, String expected, String... words) throws Exception {
    String steps = "";
    for (int i = 0; i < 200 && !steps.contains(expected); i++) {
      Thread.sleep(50);
      steps = ask(host, "trace", Map.of(), words);
    }
    return steps;
  }

  private NetworkService pair(int host, boolean master, InetSocketAddress heard)
      throws IOException {
    Optional<InetSocketAddress> beats = Optional.of(heard);
    NetworkService started =
        NetworkService.start(
            new ServiceConfig(
                folder(host),
                "none",
                0,
                Optional.empty(),
                Optional.of(address(host, TUNNEL)),
                Optional.of(address(host, 27_651)),
                List.of(address(3 - host, 27_651)),
                master ? beats : Optional.empty(),
                master ? Optional.empty() : beats));
    services.add(started);
    return started;
  }

  @Test
  void aStandbyKnowsTheNetworksAndDecidesWhenItsMasterIsGone() throws Exception {
    NetworkService first = pair(1, true, address(1, 27_652));
    NetworkService second = pair(2, false, address(1, 27_652));
    NetworkService third =
        start(3, Optional.empty(), List.of(address(1, 27_651), address(2, 27_651)));
    ask(1, "create", Map.of("name", "lan", "subnet", "10.7.0.0/24"));
    ask(1, "attach", Map.of("switch", "lan", "name", "a"));
    ask(1, "attach", Map.of("switch", "lan", "name", "b"));
    plug(second, first, "a");
    plug(third, first, "b");
    awaitTrace(1, "(port default/b)", "a", "tcp", "10.7.0.3:80");
    assertThatThrownBy(() -> ask(2, "show", Map.of())).hasMessageContaining(" at 127.0.0.1:27652;");
    for (int i = 0; i < 200 && !second.networks().model().equals(first.networks().model()); i++) {
      Thread.sleep(50);
    }
    long changes = second.networks().changesSent(0x7f000003L);
    first.close();
    for (int i = 0; i < 200 && !second.decides(); i++) {
      Thread.sleep(50);
    }
    assertThat(awaitTrace(2, "(port default/b)", "a", "tcp", "10.7.0.3:80"))
        .containsSubsequence("port default/a", "at 127.0.0.3:", "(port default/b)");
    assertThat(second.networks().changesSent(0x7f000003L)).isEqualTo(changes);
    ask(2, "attach", Map.of("switch", "lan", "name", "c"));
    plug(third, second, "c");
    assertThat(awaitTrace(2, "(port default/c)", "a", "tcp", "10.7.0.4:80"))
        .contains("(port default/c)");

    // As a master of its own kind, started anew, it goes on with the switches that stayed.
    second.close();
    NetworkService again = pair(2, true, address(2, 27_652));
    ask(2, "attach", Map.of("switch", "lan", "name", "d"));
    plug(third, again, "d");
    plug(again, again, "a");
    assertThat(awaitTrace(2, "(port default/d)", "a", "tcp", "10.7.0.5:80"))
        .contains("(port default/d)");
  }

  @Test
  void aTraceGoesOnAtTheOtherHost() throws Exception {
    InetSocketAddress controller = address(1, 27_651);
    NetworkService first = start(1, Optional.of(controller), List.of());
    NetworkService second = start(2, Optional.empty(), List.of(controller));
    ask(1, "create", Map.of("name", "lan", "subnet", "10.7.0.0/24"));
    ask(1, "policy", Map.of("name", "web"), "in", "tcp:80");
    ask(1, "attach", Map.of("switch", "lan", "name", "a"));
    ask(1, "attach", Map.of("switch", "lan", "name", "b", "groups", "web"));
    plug(first, first, "a");
    plug(second, first, "b");
    String steps = awaitTrace(1, "(port default/b)", "a", "tcp", "10.7.0.3:80");
    assertThat(steps)
        .containsSubsequence("port default/a", "vxlan", "at 127.0.0.2:", "tunnel_id")
        .contains("(port default/b)");
    assertThat(ask(1, "trace", Map.of(), "a", "tcp", "10.7.0.3:81"))
        .containsSubsequence("at 127.0.0.2:", "deliver rules", "result: dropped");
    assertThat(ask(1, "trace", Map.of(), "b", "tcp", "10.7.0.2:80"))
        .startsWith("at 127.0.0.2:")
        .contains("(port default/a)");
  }
}
