package io.anillo.network.dataplane;

import java.util.List;

/**
 * What would happen to a packet.
 *
 * @param steps for people, with the rule that decides each
 * @param exits the copies that leave the switch by ports
 */
public record TracedPath(List<String> steps, List<Exit> exits) {
  /**
   * A copy of the packet that leaves.
   *
   * @param tunnel the network identifier, where the port is a tunnel's
   * @param destination the IPv4 address of the tunnel's far end, 0 for none
   */
  public record Exit(int port, long tunnel, int destination, byte[] frame) {}

  /**
   * A packet to be followed.
   *
   * @param tunnel the network identifier that a tunnel carried it under
   * @param source the tunnel's far end
   * @param destination the tunnel's end here
   */
  public record Entry(int inPort, long tunnel, int source, int destination, byte[] frame) {
    /** A packet that no tunnel carried. */
    public Entry(int inPort, byte[] frame) {
      this(inPort, 0, 0, 0, frame);
    }
  }

  public TracedPath {
    steps = List.copyOf(steps);
    exits = List.copyOf(exits);
  }
}
