package io.anillo.bench.network;

import io.anillo.bench.Statistics;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;

/**
 * Prints what the virtual network does next to what its peers do, in one run: everybody in turn, as
 * often as asked, and of each figure the median.
 */
public final class NetworkBench {
  private static final int DOWNLOAD_MEBIBYTES = 64;
  private static final int CONTROLLER_SECONDS = 4;

  /** The parts, in the order they run. */
  public enum Part {
    SWITCH,
    CABLE,
    CONTROLLER,
    NAT
  }

  /** Takes one figure or several of one contender. */
  private interface Taking<T> {
    T take() throws Exception;
  }

  private final Path top;
  private final int runs;

  /** Makes a comparison whose launcher is {@code top/anillo}, of {@code runs} turns. */
  public NetworkBench(Path top, int runs) {
    this.top = top;
    this.runs = runs;
  }

  /**
   * Runs some of the comparisons; peers that are not installed, or need root, end the run with a
   * sentence.
   */
  public void run(Set<Part> parts) throws Exception {
    if (parts.contains(Part.SWITCH)) {
      measureSwitch();
    }
    if (parts.contains(Part.CABLE)) {
      measureCable();
    }
    if (parts.contains(Part.CONTROLLER)) {
      measureController();
    }
    if (parts.contains(Part.NAT)) {
      measureNat();
    }
  }

  /** What each contender reached in its turns. */
  private <T> List<List<T>> inTurn(List<Taking<T>> contenders) throws Exception {
    List<List<T>> all = new ArrayList<>();
    contenders.forEach(contender -> all.add(new ArrayList<>()));
    for (int run = 0; run < runs; run++) {
      for (int i = 0; i < contenders.size(); i++) {
        all.get(i).add(contenders.get(i).take());
      }
    }
    return all;
  }

  private static <T> double median(List<T> rates, ToDoubleFunction<T> figure) {
    return Statistics.median(rates.stream().map(figure::applyAsDouble).toList());
  }

  private void measureSwitch() throws Exception {
    System.out.println("Switch alone, 64-byte frames, one thread, processor time, fastest rounds:");
    List<List<SwitchRate.Cost>> all = new ArrayList<>();
    for (int run = 0; run < runs; run++) {
      all.add(SwitchRate.measure());
    }
    int few = 0;
    for (int i = 0; i < all.getFirst().size(); i++) {
      int at = i;
      SwitchRate.Cost cost = all.getFirst().get(i);
      double nanos = median(all, costs -> costs.get(at).nanos());
      if (i == 0 || cost.together() != all.getFirst().get(i - 1).together()) {
        few = i;
        System.out.println(
            cost.together() == 1
                ? "  frames that arrive one by one"
                : "  frames that arrive %d at a time".formatted(cost.together()));
      }
      int base = few;
      double ratio = median(all, costs -> costs.get(at).nanos() / costs.get(base).nanos());
      System.out.printf(
          "    %,8d flows, %,8d in use%s: %6.1f ns a packet, %5.2f million packets a second,"
              + " %5.2fx%n",
          cost.flows(),
          cost.inUse(),
          cost.packetsPerChange() == 0
              ? ""
              : ", one replaced each %,d packets".formatted(cost.packetsPerChange()),
          nanos,
          1000 / nanos,
          ratio);
    }
  }

  private void measureCable() throws Exception {
    System.out.println("Between two namespaces through packet sockets:");
    List<List<CableRate.Rate>> all = inTurn(List.of(CableRate::peer, CableRate::ours));
    CableRate.Rate peer = cable(all.getFirst());
    CableRate.Rate ours = cable(all.getLast());
    print("Open vSwitch (user space)", peer);
    print("Anillo", ours);
    System.out.printf(
        "  %-34s %6.2f TCP, %6.2f datagrams, %6.2f round trip (below 1 is shorter)%n",
        "ratio",
        ours.gigabits() / peer.gigabits(),
        ours.datagrams() / peer.datagrams(),
        ours.roundTripMicros() / peer.roundTripMicros());
  }

  private static CableRate.Rate cable(List<CableRate.Rate> rates) {
    return new CableRate.Rate(
        median(rates, CableRate.Rate::gigabits),
        median(rates, CableRate.Rate::datagrams),
        median(rates, CableRate.Rate::roundTripMicros));
  }

  private void measureController() throws Exception {
    System.out.println(
        "Flows that the controller sets up a second (learning switch, 128 packets under way):");
    ControllerRate.Rate cold = ControllerRate.ours(CONTROLLER_SECONDS);
    List<List<ControllerRate.Rate>> all =
        inTurn(
            List.of(
                () -> ControllerRate.peer(CONTROLLER_SECONDS),
                () -> ControllerRate.ours(CONTROLLER_SECONDS)));
    ControllerRate.Rate peer = controller(all.getFirst());
    ControllerRate.Rate ours = controller(all.getLast());
    print("ovs-testcontroller", peer);
    print("Anillo, first seconds", cold);
    print("Anillo, warm", ours);
    System.out.printf(
        "  %-34s %10.2f flows, %.2f one alone (below 1 is shorter)%n",
        "ratio", ours.flows() / peer.flows(), ours.latencyMicros() / peer.latencyMicros());
  }

  private static ControllerRate.Rate controller(List<ControllerRate.Rate> rates) {
    return new ControllerRate.Rate(
        median(rates, ControllerRate.Rate::flows),
        median(rates, ControllerRate.Rate::latencyMicros));
  }

  private void measureNat() throws Exception {
    System.out.println("A guest's download from its host through a user-mode network:");
    List<List<NatRate.Rate>> all =
        inTurn(
            List.of(
                () -> NatRate.qemu(DOWNLOAD_MEBIBYTES),
                () -> NatRate.stream(DOWNLOAD_MEBIBYTES),
                () -> NatRate.tap(DOWNLOAD_MEBIBYTES),
                () -> NatRate.alone(top, DOWNLOAD_MEBIBYTES)));
    double peer = median(all.getFirst(), NatRate.Rate::megabits);
    for (List<NatRate.Rate> rates : all) {
      double own = median(rates, NatRate.Rate::megabits);
      System.out.printf(
          "  %-34s %8.1f Mb/s, %5.2f of QEMU's%n", rates.getFirst().name(), own, own / peer);
    }
  }

  private static void print(String name, ControllerRate.Rate rate) {
    System.out.printf(
        "  %-34s %,10.0f flows/s, %6.0f us for one alone%n",
        name, rate.flows(), rate.latencyMicros());
  }

  private static void print(String name, CableRate.Rate rate) {
    System.out.printf(
        "  %-34s %6.2f Gb/s TCP, %,10.0f datagrams/s, round trip %6.1f us%n",
        name, rate.gigabits(), rate.datagrams(), rate.roundTripMicros());
  }
}
