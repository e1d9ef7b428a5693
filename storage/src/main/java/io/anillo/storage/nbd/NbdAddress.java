package io.anillo.storage.nbd;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.net.UnixDomainSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Where an export is found, as the NBD project's {@code doc/uri.md} writes it: {@code
 * nbd://host:port/export}, {@code nbd+unix:///export?socket=/path}, and with {@code nbds} through
 * TLS, whose certificates {@code tls-certificates=/folder} names.
 *
 * @param host the name that the server's certificate must carry, empty for Unix-domain sockets
 * @param port of TCP, 0 for Unix-domain sockets
 */
public record NbdAddress(
    String host,
    int port,
    Optional<Path> socket,
    String export,
    boolean tls,
    Optional<Path> certificates) {

  /** Whether a text is meant as the address of an export. */
  public static boolean recognises(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    return lower.startsWith("nbd:")
        || lower.startsWith("nbds:")
        || lower.startsWith("nbd+unix:")
        || lower.startsWith("nbds+unix:");
  }

  /**
   * Reads an address.
   *
   * @throws IOException when it is none, with a sentence that says why
   */
  public static NbdAddress parse(String text) throws IOException {
    URI uri;
    try {
      uri = new URI(text);
    } catch (URISyntaxException wrong) {
      throw new IOException(
          "\"" + text + "\" is no NBD address: " + String.valueOf(wrong.getReason()), wrong);
    }
    String scheme = String.valueOf(uri.getScheme()).toLowerCase(Locale.ROOT);
    if (!recognises(scheme + ":") || uri.isOpaque()) {
      throw new IOException(
          "\""
              + text
              + "\" is no NBD address; one looks like nbd://host:10809/export"
              + " or nbd+unix:///export?socket=/path");
    }
    Map<String, String> query = query(uri.getRawQuery());
    boolean tls = scheme.startsWith("nbds");
    Optional<Path> certificates = Optional.ofNullable(query.get("tls-certificates")).map(Path::of);
    if (tls && certificates.isEmpty()) {
      throw new IOException("\"" + text + "\" needs the certificates: ...?tls-certificates=FOLDER");
    }
    String path = String.valueOf(uri.getPath());
    String export = path.startsWith("/") ? path.substring(1) : "";
    if (scheme.endsWith("+unix")) {
      String socket = query.get("socket");
      if (socket == null) {
        throw new IOException("\"" + text + "\" names no socket: ...?socket=/path");
      }
      return new NbdAddress("", 0, Optional.of(Path.of(socket)), export, tls, certificates);
    }
    String host = uri.getHost();
    if (host == null) {
      throw new IOException("\"" + text + "\" names no host");
    }
    String plainHost = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    int port = uri.getPort() < 0 ? NbdProtocol.PORT : uri.getPort();
    return new NbdAddress(plainHost, port, Optional.empty(), export, tls, certificates);
  }

  private static Map<String, String> query(String raw) {
    Map<String, String> values = new HashMap<>();
    for (String part : raw == null ? new String[0] : raw.split("&")) {
      int equals = part.indexOf('=');
      if (equals > 0) {
        values.put(
            part.substring(0, equals),
            URLDecoder.decode(
                part.substring(equals + 1).replace("+", "%2B"), StandardCharsets.UTF_8));
      }
    }
    return values;
  }

  /** An export of a server that listens on a Unix-domain socket. */
  public static NbdAddress unix(Path socket, String export) {
    return new NbdAddress("", 0, Optional.of(socket), export, false, Optional.empty());
  }

  SocketAddress socketAddress() {
    return socket.isPresent()
        ? UnixDomainSocketAddress.of(socket.get())
        : new InetSocketAddress(host, port);
  }

  @Override
  public String toString() {
    String where =
        socket.isPresent() ? "+unix:///" + export + "?socket=" + socket.get() : "://" + host + ":";
    return (tls ? "nbds" : "nbd") + where + (socket.isPresent() ? "" : port + "/" + export);
  }
}
