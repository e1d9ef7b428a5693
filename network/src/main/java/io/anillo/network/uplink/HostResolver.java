package io.anillo.network.uplink;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Which name server the host uses, read anew when {@code /etc/resolv.conf} changes. */
public final class HostResolver {
  private static final Path FILE = Path.of("/etc/resolv.conf");
  private static final long RELOAD_NANOS = 5_000_000_000L;

  private Optional<Endpoint> server = Optional.empty();
  private long readNanos;
  private boolean read;

  /** The name server's address, if the host names one. */
  public Optional<InetAddress> address(long now) {
    return find(now).map(Endpoint::toAddress);
  }

  Optional<Endpoint> find(long now) {
    if (!read || now - readNanos > RELOAD_NANOS) {
      read = true;
      readNanos = now;
      server = load();
    }
    return server;
  }

  private static Optional<Endpoint> load() {
    try {
      for (String line : Files.readAllLines(FILE)) {
        String[] words = line.strip().split("\\s+");
        if (words.length >= 2 && words[0].equals("nameserver")) {
          return Optional.of(Endpoint.of(InetAddress.ofLiteral(words[1].replaceAll("%.*", ""))));
        }
      }
    } catch (IOException | IllegalArgumentException e) {
      System.getLogger(HostResolver.class.getName())
          .log(System.Logger.Level.DEBUG, "no name server known", e);
    }
    return Optional.empty();
  }
}
