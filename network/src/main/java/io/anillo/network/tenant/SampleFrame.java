package io.anillo.network.tenant;

import java.util.Locale;

/** Frames as a port would send them, to be traced. */
public final class SampleFrame {
  private static final int SOURCE_PORT = 40_000;

  private SampleFrame() {}

  /** The name of the stage that a table is. */
  public static String stage(int table) {
    Stage[] stages = Stage.values();
    return table < stages.length
        ? stages[table].name().toLowerCase(Locale.ROOT).replace('_', ' ')
        : "table " + table;
  }

  /**
   * The first packet of a conversation.
   *
   * @param protocol {@code tcp}, {@code udp} or {@code icmp}
   */
  public static byte[] of(
      NetworkModel model, LogicalPort from, String protocol, int address, int port) {
    LogicalSwitch owner = model.logicalSwitch(from.logicalSwitch());
    long next =
        model.ports().values().stream()
            .filter(p -> p.logicalSwitch().equals(owner.name()) && p.address() == address)
            .mapToLong(LogicalPort::ethernet)
            .findFirst()
            .orElse(owner.gatewayEthernet());
    FrameBuilder.Side source = new FrameBuilder.Side(from.ethernet(), from.address(), SOURCE_PORT);
    FrameBuilder.Side target = new FrameBuilder.Side(next, address, port);
    return switch (protocol) {
      case "tcp" -> FrameBuilder.tcp(source, target, 1, FrameBuilder.SYN);
      case "udp" -> FrameBuilder.udp(source, target, new byte[16]);
      case "icmp" -> FrameBuilder.echo(source, target, 1, 1);
      default ->
          throw new IllegalArgumentException(
              "\"" + protocol + "\" cannot be traced; tcp, udp and icmp can");
    };
  }
}
