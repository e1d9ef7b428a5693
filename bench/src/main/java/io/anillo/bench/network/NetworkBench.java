package io.anillo.bench.network;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** Prints what the virtual network does next to what its peers do, in one run. */
public final class NetworkBench {
  private NetworkBench() {}

  private static final int DOWNLOAD_MEBIBYTES = 64;
  private static final int SLOW_DOWNLOAD_MEBIBYTES = 8;

  /** The parts, in the order they run. */
  public enum Part {
    SWITCH,
    CABLE,
    CONTROLLER,
    NAT
  }

  /**
   * Runs some of the comparisons; peers that are not installed, or need root, end the run with a
   * sentence.
   */
  public static void run(Path top, Set<Part> parts) throws Exception {
    if (parts.contains(Part.SWITCH)) {
      measureSwitch();
    }
    if (parts.contains(Part.CABLE)) {
      System.out.println("Between two namespaces through packet sockets:");
      CableRate.Rate peer = CableRate.peer();
      CableRate.Rate ours = CableRate.ours();
      print("Open vSwitch (user space)", peer);
      print("Anillo", ours);
      System.out.printf(
          "  %-30s %6.2f TCP, %6.2f datagrams, %6.2f round trip (below 1 is shorter)%n",
          "ratio",
          ours.gigabits() / peer.gigabits(),
          ours.datagrams() / peer.datagrams(),
          ours.roundTripMicros() / peer.roundTripMicros());
    }
    if (parts.contains(Part.CONTROLLER)) {
      System.out.println(
          "Flows that the controller sets up a second (learning switch, 128 packets under way):");
      ControllerRate.Rate peer = print("ovs-testcontroller", ControllerRate.peer(4));
      print("Anillo, first seconds", ControllerRate.ours(4));
      ControllerRate.Rate warm = print("Anillo, warm", ControllerRate.ours(4));
      System.out.printf(
          "  %-30s %10.2f flows, %.2f one alone (below 1 is shorter)%n",
          "ratio", warm.flows() / peer.flows(), warm.latencyMicros() / peer.latencyMicros());
    }
    if (parts.contains(Part.NAT)) {
      System.out.println("A guest's download from its host through a user-mode network:");
      NatRate.Rate peer = print(NatRate.qemu(DOWNLOAD_MEBIBYTES));
      NatRate.Rate ours = print(NatRate.ours(DOWNLOAD_MEBIBYTES));
      System.out.printf(
          "  %-30s %8.2f (same guest and engine)%n", "ratio", ours.megabits() / peer.megabits());
      print(NatRate.alone(top, SLOW_DOWNLOAD_MEBIBYTES));
    }
  }

  private static NatRate.Rate print(NatRate.Rate rate) {
    System.out.printf("  %-30s %8.1f Mb/s%n", rate.name(), rate.megabits());
    return rate;
  }

  private static void measureSwitch() throws Exception {
    System.out.println("Switch alone, 64-byte frames, one thread, processor time, fastest rounds:");
    List<SwitchRate.Cost> costs = SwitchRate.measure();
    double first = costs.getFirst().nanos();
    for (SwitchRate.Cost cost : costs) {
      System.out.printf(
          "  %,8d flows, %,8d in use%s: %6.1f ns a packet, %5.2f million packets a second,"
              + " %5.2fx%n",
          cost.flows(),
          cost.inUse(),
          cost.packetsPerChange() == 0
              ? ""
              : ", one replaced each %,d packets".formatted(cost.packetsPerChange()),
          cost.nanos(),
          1000 / cost.nanos(),
          cost.nanos() / first);
    }
  }

  private static ControllerRate.Rate print(String name, ControllerRate.Rate rate) {
    System.out.printf(
        "  %-30s %,10.0f flows/s, %6.0f us for one alone%n",
        name, rate.flows(), rate.latencyMicros());
    return rate;
  }

  private static void print(String name, CableRate.Rate rate) {
    System.out.printf(
        "  %-30s %6.2f Gb/s TCP, %,10.0f datagrams/s, round trip %6.1f us%n",
        name, rate.gigabits(), rate.datagrams(), rate.roundTripMicros());
  }
}
