package io.anillo.network.service;

import io.anillo.network.NetworkChoice;
import io.anillo.network.port.FrameStream;
import io.anillo.network.port.StreamWire;
import io.anillo.network.tenant.LogicalPort;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;

/**
 * What this host has been told to plug into logical ports: its interfaces, and sockets where guests
 * of other monitors call. Kept in a file beside the networks' description, so that it is there
 * again when the service starts.
 */
final class HostPlugs {
  private static final System.Logger LOG = System.getLogger(HostPlugs.class.getName());

  /**
   * What one port has; both may be empty.
   *
   * @param backend an interface, as {@code NetworkChoice} reads it
   * @param socket the path of a socket that speaks QEMU's stream back end
   */
  record Plug(String backend, String socket) {
    boolean isEmpty() {
      return backend.isEmpty() && socket.isEmpty();
    }
  }

  private final NetworkService service;
  private final Path file;
  private final Map<String, Plug> plugs = new TreeMap<>();

  HostPlugs(NetworkService service, Path file) {
    this.service = service;
    this.file = file;
  }

  /** Plugs something in, and does so again when the service starts anew. */
  synchronized void plug(LogicalPort port, Plug plug) throws IOException {
    if (plug.isEmpty()) {
      return;
    }
    open(port, plug);
    plugs.put(port.name(), plug);
    save();
  }

  /** Plugs in what was there when the service ended; what is gone meanwhile is only told of. */
  synchronized void restore() throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    try {
      plugs.putAll(
          ModelFile.JSON.readValue(
              Files.readString(file), new TypeReference<Map<String, Plug>>() {}));
    } catch (JacksonException e) {
      throw new IOException(file + " cannot be read: " + e.getOriginalMessage(), e);
    }
    Map<String, LogicalPort> ports = service.networks().model().ports();
    plugs.keySet().retainAll(ports.keySet());
    for (Map.Entry<String, Plug> entry : plugs.entrySet()) {
      LogicalPort port = ports.get(entry.getKey());
      if (port == null) {
        throw new IllegalStateException(entry.getKey() + " has just been there");
      }
      try {
        open(port, entry.getValue());
      } catch (IOException | IllegalArgumentException e) {
        LOG.log(
            System.Logger.Level.WARNING,
            () -> "port " + entry.getKey() + " has nothing plugged in: " + e.getMessage());
      }
    }
    save();
  }

  /** Plugs nothing more in at ports that are not there any more. */
  synchronized void retain() throws IOException {
    if (plugs.keySet().retainAll(service.networks().model().ports().keySet())) {
      save();
    }
  }

  private void save() throws IOException {
    ModelFile.replace(
        file, ModelFile.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(plugs));
  }

  private void open(LogicalPort port, Plug plug) throws IOException {
    if (!plug.backend().isEmpty()) {
      service.hostSwitch().attach(port.realName(), NetworkChoice.open(plug.backend()));
    }
    if (!plug.socket().isEmpty()) {
      listen(port, Path.of(plug.socket()));
    }
  }

  /** Waits at a socket for one guest at a time that speaks plain frames, as QEMU's do. */
  private void listen(LogicalPort port, Path socket) throws IOException {
    Files.deleteIfExists(socket);
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(socket));
    service.closeAtEnd(server);
    Thread.ofVirtual()
        .name("socket of " + port.name())
        .start(() -> {
          try (server) {
            while (service.networks().model().ports().containsKey(port.name())) {
              FrameStream stream = new FrameStream(server.accept(), true);
              // A new guest takes the place of one that is still there.
              service
                  .hostSwitch()
                  .port(port.realName())
                  .ifPresent(service.hostSwitch()::removePort);
              StreamWire.attach(service.hostSwitch(), port.realName(), stream, () -> {});
            }
            Files.deleteIfExists(socket);
          } catch (IOException e) {
            if (service.runs()) {
              LOG.log(System.Logger.Level.WARNING, "nobody can plug in at " + socket, e);
            }
          }
        });
  }
}
