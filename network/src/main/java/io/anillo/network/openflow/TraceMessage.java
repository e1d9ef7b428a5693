package io.anillo.network.openflow;

import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.flow.FlowError;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Our experimenter messages (OpenFlow 1.3.5 §7.5.4): a controller asks a switch what would happen
 * to a packet, and the switch tells. After the experimenter's number and the kind come
 *
 * <pre>
 * request  in_port:32 tunnel:64 source:32 destination:32 frame
 * answer   length:32 text, then for each copy that leaves: port:32 tunnel:64 destination:32 length:32 frame
 * </pre>
 */
public final class TraceMessage {
  /** A locally administered identifier, as that of our Ethernet addresses. */
  public static final int EXPERIMENTER = 0x0002616e;

  private static final int REQUEST = 1;
  private static final int ANSWER = 2;
  private static final int UNKNOWN_EXPERIMENTER = 3;
  private static final int UNKNOWN_TYPE = 4;

  /** What fits into one message, which has 16 bits for its length. */
  private static final int MAXIMUM_BYTES = 60_000;

  private TraceMessage() {}

  public static Message request(int transaction, TracedPath.Entry entry) {
    WireWriter body = new WireWriter().u32(EXPERIMENTER).u32(REQUEST).u32(entry.inPort());
    body.u64(entry.tunnel()).u32(entry.source()).u32(entry.destination()).bytes(entry.frame());
    return new Message(Message.EXPERIMENTER, transaction, body);
  }

  private static void need(WireReader reader, int kind) throws FlowError {
    if (reader.u32() != EXPERIMENTER) {
      throw new FlowError(
          FlowError.BAD_REQUEST, UNKNOWN_EXPERIMENTER, "a message of an unknown experimenter");
    }
    if (reader.u32() != kind) {
      throw new FlowError(FlowError.BAD_REQUEST, UNKNOWN_TYPE, "an unknown message of ours");
    }
  }

  public static TracedPath.Entry readRequest(WireReader reader) throws FlowError {
    need(reader, REQUEST);
    return new TracedPath.Entry(
        reader.u32(), reader.u64(), reader.u32(), reader.u32(), reader.bytes(reader.remaining()));
  }

  /** The answer; copies that do not fit are left out, and the last step says so. */
  public static Message answer(int transaction, TracedPath path) {
    List<String> steps = new ArrayList<>(path.steps());
    List<TracedPath.Exit> exits = new ArrayList<>(path.exits());
    int size = steps.stream().mapToInt(step -> step.length() * 3 + 1).sum();
    size += exits.stream().mapToInt(exit -> 20 + exit.frame().length).sum();
    while (size > MAXIMUM_BYTES && !exits.isEmpty()) {
      size -= 20 + exits.removeLast().frame().length;
    }
    while (size > MAXIMUM_BYTES) {
      size -= steps.removeLast().length() * 3 + 1;
    }
    if (steps.size() < path.steps().size() || exits.size() < path.exits().size()) {
      steps.add("(more than fits into one answer)");
    }
    byte[] text = String.join("\n", steps).getBytes(StandardCharsets.UTF_8);
    WireWriter body = new WireWriter().u32(EXPERIMENTER).u32(ANSWER).u32(text.length).bytes(text);
    for (TracedPath.Exit exit : exits) {
      body.u32(exit.port()).u64(exit.tunnel()).u32(exit.destination());
      body.u32(exit.frame().length).bytes(exit.frame());
    }
    return new Message(Message.EXPERIMENTER, transaction, body);
  }

  public static TracedPath readAnswer(WireReader reader) throws FlowError {
    need(reader, ANSWER);
    String text = new String(reader.bytes(reader.u32()), StandardCharsets.UTF_8);
    List<TracedPath.Exit> exits = new ArrayList<>();
    while (reader.remaining() > 0) {
      exits.add(
          new TracedPath.Exit(
              reader.u32(), reader.u64(), reader.u32(), reader.bytes(reader.u32())));
    }
    return new TracedPath(text.lines().toList(), exits);
  }
}
