package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.MatchField;
import io.anillo.network.packet.Packet;
import java.util.ArrayList;
import java.util.List;

/**
 * Follows a packet through the pipeline for people, with the rule that decides each step. Nothing
 * is sent or counted.
 */
final class PathTrace {
  private static final int MAXIMUM_PASSES = 16;

  private final Pipeline pipeline;

  /** What the packet does to connections happens here, and nowhere else. */
  private final ConnectionTracker connections;

  private final long nowNanos;
  private final List<String> lines = new ArrayList<>();
  private final List<TracedPath.Exit> exits = new ArrayList<>();

  PathTrace(Pipeline pipeline, ConnectionTracker connections, long nowNanos) {
    this.pipeline = pipeline;
    this.connections = connections.trial();
    this.nowNanos = nowNanos;
  }

  TracedPath of(TracedPath.Entry entry) {
    byte[] frame = entry.frame();
    Packet traced = new Packet();
    if (!traced.reset(frame, 0, frame.length)) {
      return new TracedPath(List.of("not a frame: " + frame.length + " bytes"), List.of());
    }
    traced.key.setInPort(entry.inPort());
    traced.key.words[FlowKey.TUNNEL] = entry.tunnel();
    traced.key.words[FlowKey.TUNNEL_ENDPOINTS] =
        (long) entry.source() << 32 | entry.destination() & 0xffffffffL;
    traced.parse();
    trace(traced, 0);
    return new TracedPath(lines, exits);
  }

  private void trace(Packet packet, int pass) {
    if (pass >= MAXIMUM_PASSES) {
      lines.add("passed the pipeline " + pass + " times, dropped");
      return;
    }
    lines.add("packet: " + describe(packet.key));
    PathBuilder builder =
        new PathBuilder(pipeline, (depth, text) -> lines.add("  ".repeat(depth + 1) + text.get()));
    CachedPath path = builder.build(packet.key);
    boolean sent = follow(path.operations(), packet, pass);
    if (!sent) {
      lines.add("result: dropped");
    }
  }

  private boolean follow(Operation[] operations, Packet packet, int pass) {
    boolean sent = false;
    for (Operation operation : operations) {
      switch (operation) {
        case Operation.Output output -> {
          lines.add(
              "result: out of port "
                  + output.port().number()
                  + " ("
                  + output.port().name()
                  + "), "
                  + describe(packet.key));
          exits.add(
              new TracedPath.Exit(
                  output.port().number(),
                  packet.key.words[FlowKey.TUNNEL],
                  (int) packet.key.words[FlowKey.TUNNEL_ENDPOINTS],
                  packet.toByteArray()));
          sent = true;
        }
        case Operation.Flood flood -> {
          lines.add("result: out of every other port");
          sent = true;
        }
        case Operation.Normal normal -> {
          lines.add("result: switched by address (NORMAL)");
          sent = true;
        }
        case Operation.ToController controller -> {
          lines.add("result: to the controller, " + controller.reason());
          sent = true;
        }
        case Operation.OutputField output -> {
          lines.add(
              "result: out of the port in "
                  + output.action().field().label()
                  + ", "
                  + output.action().field().low(packet.key.words));
          sent = true;
        }
        case Operation.Copy copy -> {
          Packet inner = new Packet();
          inner.copyFrom(packet);
          sent |= follow(copy.steps(), inner, pass);
        }
        case Operation.Recirculate again -> {
          sent = true;
          resume(again.resumePoint(), packet, pass);
        }
        case Operation.Submit submit -> {
          sent = true;
          resume(0, packet, pass);
        }
        case Operation.Track track -> {
          Packet tracked = new Packet();
          tracked.copyFrom(packet);
          connections.track(tracked, track.action(), nowNanos);
          lines.add(
              "connection: ct_state=0x"
                  + Long.toHexString(MatchField.CT_STATE.low(tracked.key.words)));
          if (track.resumePoint() != 0) {
            sent = true;
            resume(track.resumePoint(), tracked, pass);
          } else {
            packet.copyFrom(tracked);
          }
        }
        case Operation.Set set -> apply(set, packet);
        case Operation.Move move -> apply(move, packet);
        case Operation.ClearTracking clear -> ConnectionTracker.clear(packet);
        case Operation.Edit edit -> edit.apply(packet, QUIET);
        case Operation.Queue queue -> packet.queue = queue.queue();
        case Operation.Measure measure -> {}
        case Operation.CreditGroup credit -> {}
      }
    }
    return sent;
  }

  private static void apply(Operation operation, Packet packet) {
    operation.apply(packet, QUIET);
  }

  private void resume(int point, Packet packet, int pass) {
    Packet next = new Packet();
    next.copyFrom(packet);
    next.parse();
    next.key.setRecirculation(point);
    trace(next, pass + 1);
  }

  static String describe(FlowKey key) {
    StringBuilder text = new StringBuilder();
    long[] ones = new long[FlowKey.WORDS];
    java.util.Arrays.fill(ones, -1L);
    for (MatchField field : MatchField.values()) {
      boolean set = field.low(key.words) != 0 || field.high(key.words) != 0;
      if (set && field != MatchField.IN_PHY_PORT && field.allowedBy(key.words, ones)) {
        text.append(text.isEmpty() ? "" : ",").append(field.label()).append('=');
        text.append(io.anillo.network.flow.FieldText.format(field, key.words, ones));
      }
    }
    return text.toString();
  }

  /** Takes a spent TTL's packet-in and gives nothing else. */
  private static final Forwarding QUIET =
      new Forwarding() {
        @Override
        void output(Packet packet, SwitchPort port) {}

        @Override
        void outputNumber(Packet packet, int port) {}

        @Override
        void flood(Packet packet) {}

        @Override
        void normal(Packet packet) {}

        @Override
        void toController(
            Packet packet,
            int maximumLength,
            SwitchObserver.Reason reason,
            int table,
            long cookie) {}

        @Override
        void recirculate(Packet packet, int resumePoint) {}

        @Override
        void track(Packet packet, Action.Track action, int resumePoint) {}
      };
}
