package io.anillo.cli.guest;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.anillo.cli.image.DefaultGuest;
import io.anillo.network.service.NetworkService;
import io.anillo.network.service.Request;
import io.anillo.network.service.ServiceClient;
import io.anillo.network.service.ServiceConfig;
import io.anillo.vmm.port.NetworkBackend;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two Linux guests at the switches of two hosts' network services. */
class NetworkGuestTest {
  private static final int OPENFLOW = 47_653;
  private static final int VXLAN = 47_654;
  private static final int DOWNLOAD_BYTES = 3 << 20;

  private static final String COMMAND_LINE = DefaultGuest.COMMAND_LINE + " anillo.network=dhcp";

  private @TempDir Path folder;
  private final List<AutoCloseable> resources = new ArrayList<>();

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable resource : resources.reversed()) {
      resource.close();
    }
  }

  private <T extends AutoCloseable> T keep(T resource) {
    resources.add(resource);
    return resource;
  }

  private static InetSocketAddress at(String address, int port) {
    return new InetSocketAddress(address, port);
  }

  private NetworkService service(String name, int host, boolean decides) throws IOException {
    return keep(
        NetworkService.start(
            new ServiceConfig(
                folder.resolve(name),
                decides ? "user" : "none",
                0,
                Optional.of(at("127.0.0." + host, VXLAN)),
                decides ? Optional.of(at("127.0.0.1", OPENFLOW)) : Optional.empty(),
                decides ? List.of() : List.of(at("127.0.0.1", OPENFLOW)))));
  }

  private String ask(String operation, Map<String, String> values, String... words)
      throws IOException {
    return ServiceClient.ask(folder.resolve("one"), new Request(operation, values, List.of(words)));
  }

  private LinuxGuest boot(NetworkBackend backend) throws Exception {
    return keep(
        LinuxGuest.boot(
            config -> config.withNetworks(List.of(backend)).withCommandLine(COMMAND_LINE)));
  }

  private static byte[] randomBytes() {
    byte[] bytes = new byte[DOWNLOAD_BYTES];
    new Random(7).nextBytes(bytes);
    return bytes;
  }

  private int webServer(byte[] content) throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(200, content.length);
          try (OutputStream out = exchange.getResponseBody()) {
            out.write(content);
          }
        });
    server.start();
    keep(() -> server.stop(0));
    return server.getAddress().getPort();
  }

  @Test
  void guestsOnTwoHostsMeetAndReachTheOutside() throws Exception {
    service("one", 1, true);
    service("two", 2, false);
    ask("create", Map.of("name", "lan", "subnet", "10.5.0.0/24"));
    ask("policy", Map.of("name", "web"), "in", "tcp:80", ",", "in", "icmp");
    ask("router", Map.of("name", "r", "connect", "lan", "external", "auto"));
    String attached = ask("attach", Map.of("switch", "lan", "name", "far", "groups", "web"));
    String number = attached.substring(attached.lastIndexOf(' ') + 1);
    NetworkBackend near =
        ServiceClient.plug(
            folder.resolve("one"),
            new Request("plug", Map.of("switch", "lan", "name", "near"), List.of()));
    NetworkBackend far =
        ServiceClient.plug(
            folder.resolve("two"), new Request("plug", Map.of("number", number), List.of()));
    LinuxGuest one = boot(near);
    LinuxGuest two = boot(far);
    for (LinuxGuest guest : List.of(one, two)) {
      guest.console.expectShell();
    }
    assertThat(one.console.run("ip addr show eth0")).contains("10.5.0.3/24", "mtu 1450");
    assertThat(two.console.run("ip addr show eth0")).contains("10.5.0.2/24", "mtu 1450");
    // What DHCP brings takes nothing from IPv6, whose address may come up to some seconds after the
    // link.
    assertThat(
            one.console.run(
                "for i in 1 2 3 4 5 6 7 8 9; do grep eth0 /proc/net/if_inet6 && break; sleep 1;"
                    + " done"))
        .containsPattern("fe80.* eth0");
    assertThat(one.console.run("ping -c 3 10.5.0.2")).contains("3 packets received");
    assertThat(one.console.run("nslookup far")).contains("10.5.0.2");

    two.console.run("(echo hello from afar | nc -l -p 80) > /dev/null & true");
    assertThat(one.console.run("nc 10.5.0.2 80 < /dev/null")).contains("hello from afar");
    two.console.run("(echo never | nc -l -p 81) > /dev/null & true");
    assertThat(one.console.run("timeout 3 nc 10.5.0.2 81 < /dev/null; echo ended"))
        .doesNotContain("never");

    byte[] content = randomBytes();
    int port = webServer(content);
    String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    for (LinuxGuest guest : List.of(one, two)) {
      assertThat(guest.console.run("wget -q -O - http://10.0.2.2:" + port + "/ | sha256sum"))
          .contains(digest);
    }
  }
}
