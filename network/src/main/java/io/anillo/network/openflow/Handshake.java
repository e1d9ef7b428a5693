package io.anillo.network.openflow;

import io.anillo.network.flow.FlowError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * The exchange of hellos that opens a channel (OpenFlow 1.3.5 §6.3.1). This side speaks version 1.3
 * only.
 */
public final class Handshake {
  private Handshake() {}

  /** Exchanges hellos; a peer without OpenFlow 1.3 is told so and refused. */
  public static void perform(OpenFlowConnection connection) throws IOException {
    connection.send(Message.hello(1));
    Message first = connection.read();
    if (first.type() == Message.ERROR) {
      throw new IOException("peer " + connection.peer() + " refused OpenFlow 1.3");
    }
    if (first.type() != Message.HELLO || !speaks13(first)) {
      byte[] reason =
          "this side speaks OpenFlow 1.3 (version 4) only".getBytes(StandardCharsets.US_ASCII);
      WireWriter body = new WireWriter().u16(FlowError.HELLO_FAILED).u16(0).bytes(reason);
      Message refusal =
          new Message(
              Math.min(first.version(), Message.VERSION),
              Message.ERROR,
              first.transaction(),
              body.toByteArray());
      connection.send(refusal);
      pause();
      throw new IOException(
          "peer "
              + connection.peer()
              + " does not speak OpenFlow 1.3 (its version is "
              + first.version()
              + ")");
    }
  }

  /** Leaves the writer time to send the refusal before the channel is closed. */
  private static void pause() {
    try {
      Thread.sleep(50);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static boolean speaks13(Message hello) {
    WireReader reader = hello.reader();
    try {
      while (reader.remaining() >= 8) {
        int type = reader.u16();
        int length = reader.u16();
        if (type == 1) {
          return (reader.u32() & 1 << Message.VERSION) != 0;
        }
        reader.skip(Math.min(reader.remaining(), Math.max(4, (length + 7) / 8 * 8 - 4)));
      }
    } catch (FlowError e) {
      return hello.version() >= Message.VERSION;
    }
    return hello.version() >= Message.VERSION;
  }
}
