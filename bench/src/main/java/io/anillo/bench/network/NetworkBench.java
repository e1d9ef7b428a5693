package io.anillo.bench.network;

/** Prints what the virtual network does next to what its peers do, in one run. */
public final class NetworkBench {
  private NetworkBench() {}

  /**
   * Runs all comparisons; peers that are not installed, or need root, end the run with a sentence.
   */
  public static void main(String[] arguments) throws Exception {
    System.out.println("Switch alone, 64-byte frames, one thread:");
    for (SwitchRate.Cost cost : SwitchRate.measure()) {
      System.out.printf(
          "  %,8d flows, %,8d in use: %6.1f ns a packet, %5.2f million packets a second%n",
          cost.flows(), cost.inUse(), cost.nanos(), 1000 / cost.nanos());
    }
    System.out.println("Between two namespaces through packet sockets:");
    print("Open vSwitch (user space)", CableRate.peer());
    print("Anillo", CableRate.ours());
    System.out.println("Flows that the controller sets up a second (learning switch, window 128):");
    System.out.printf("  %-26s %,10.0f%n", "ovs-testcontroller", ControllerRate.peer(4));
    System.out.printf("  %-26s %,10.0f%n", "Anillo, first 4 s", ControllerRate.ours(4));
    System.out.printf("  %-26s %,10.0f%n", "Anillo, warm", ControllerRate.ours(4));
  }

  private static void print(String name, CableRate.Rate rate) {
    System.out.printf(
        "  %-26s %6.2f Gb/s TCP, %,10.0f datagrams/s, round trip %6.1f us%n",
        name, rate.gigabits(), rate.datagrams(), rate.roundTripMicros());
  }
}
