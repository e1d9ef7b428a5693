package io.anillo.network.service;

import io.anillo.network.port.FrameStream;
import io.anillo.vmm.port.NetworkBackend;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import tools.jackson.core.JacksonException;

/** Talks to the network service of this host. */
public final class ServiceClient implements AutoCloseable {
  private static final int MAXIMUM_LINE = 1 << 24;

  private final SocketChannel channel;

  private ServiceClient(SocketChannel channel) {
    this.channel = channel;
  }

  /**
   * Connects to the service of a folder.
   *
   * @throws IOException with one clear sentence when none runs
   */
  public static ServiceClient connect(Path folder) throws IOException {
    SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      channel.connect(UnixDomainSocketAddress.of(ServiceConfig.socket(folder)));
      return new ServiceClient(channel);
    } catch (IOException e) {
      channel.close();
      throw new IOException(
          "no network service runs in " + folder + "; 'anillo network start' starts one", e);
    }
  }

  /** Sends one request and waits for its reply. */
  public Request.Reply ask(Request request) throws IOException {
    writeLine(channel, ModelFile.JSON.writeValueAsString(request));
    try {
      return ModelFile.JSON.readValue(readLine(channel), Request.Reply.class);
    } catch (JacksonException e) {
      throw new IOException("the network service gave no answer that can be read", e);
    }
  }

  /** Asks once, on a connection of its own; what is wrong comes as an exception. */
  public static String ask(Path folder, Request request) throws IOException {
    try (ServiceClient client = connect(folder)) {
      Request.Reply reply = client.ask(request);
      if (!reply.done()) {
        throw new IOException(reply.text());
      }
      return reply.text();
    }
  }

  /**
   * Plugs a guest in. It is plugged in again when the service starts anew.
   *
   * @param request the operation {@code plug}
   */
  public static NetworkBackend plug(Path folder, Request request) throws IOException {
    ServiceClient client = connect(folder);
    Request.Reply reply = client.ask(request);
    if (!reply.done()) {
      client.close();
      throw new IOException(reply.text());
    }
    return GuestPlug.of(folder, request, client, reply.text());
  }

  /** The connection as a stream of frames, which it is once a guest is plugged in. */
  FrameStream stream() {
    return new FrameStream(channel, false);
  }

  static void writeLine(SocketChannel channel, String line) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  /** Reads to the end of a line and not a byte further, since frames may follow. */
  static String readLine(SocketChannel channel) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    ByteBuffer one = ByteBuffer.allocate(1);
    while (line.size() < MAXIMUM_LINE) {
      one.clear();
      if (channel.read(one) < 0) {
        throw new IOException("the other side is gone");
      }
      byte next = one.get(0);
      if (next == '\n') {
        return line.toString(StandardCharsets.UTF_8);
      }
      line.write(next);
    }
    throw new IOException("a line is too long");
  }

  /** Waits until the service ends the connection. */
  public void awaitEnd() throws IOException {
    ByteBuffer ignored = ByteBuffer.allocate(64);
    while (channel.read(ignored) >= 0) {
      ignored.clear();
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
