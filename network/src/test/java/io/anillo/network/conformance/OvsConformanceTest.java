package io.anillo.network.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.RecordingWire;
import io.anillo.network.agent.OpenFlowAgent;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.FlowError;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Programs our switch and Open vSwitch alike, sends the same frames through both and compares what
 * comes out, byte for byte. Writes the table of what was compared to {@code
 * target/openflow-conformance.md}.
 */
class OvsConformanceTest {
  private static final int PORTS = 4;

  private @TempDir Path folder;

  private record Outcome(
      String feature, int frames, int sent, boolean same, String detail, String deviation) {}

  @Test
  void sendsWhatOpenVSwitchSends() throws Exception {
    Peers.require("ovs-vswitchd", "ovsdb-server", "ovs-ofctl");
    List<Outcome> outcomes = new ArrayList<>();
    try (OvsPeer peer = new OvsPeer(folder, PORTS);
        VirtualSwitch ours = new VirtualSwitch("ours", 1, Clock.system());
        OpenFlowAgent agent = new OpenFlowAgent(ours, OpenFlowAgent.FailMode.SECURE)) {
      List<RecordingWire> wires = new ArrayList<>();
      for (int i = 1; i <= PORTS; i++) {
        RecordingWire wire = new RecordingWire();
        wires.add(wire);
        ours.addPort("p" + i, wire);
      }
      int port = agent.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      for (Cases.Case subject : Cases.all()) {
        try {
          program(peer, peer.target(), subject);
          program(peer, "tcp:127.0.0.1:" + port, subject);
          outcomes.add(compare(subject, peer, ours, wires));
        } catch (AssertionError refused) {
          outcomes.add(
              new Outcome(
                  subject.feature(), 0, 0, false, String.valueOf(refused.getMessage()), ""));
        }
      }
    }
    Files.createDirectories(Path.of("target"));
    Files.writeString(Path.of("target/openflow-conformance.md"), table(outcomes));
    assertThat(outcomes.stream().filter(outcome -> !outcome.same()).map(Outcome::toString))
        .isEmpty();
  }

  private static void program(OvsPeer peer, String target, Cases.Case subject) {
    ofctl(peer, target, "del-flows", "");
    ofctl(peer, target, "del-groups", "");
    ofctl(peer, target, "del-meters", "");
    for (String step : subject.setup()) {
      int space = step.indexOf(' ');
      ofctl(peer, target, step.substring(0, space), step.substring(space + 1));
    }
  }

  private static void ofctl(OvsPeer peer, String target, String command, String argument) {
    if (argument.isEmpty()) {
      peer.succeed("ovs-ofctl", "-O", "OpenFlow13", command, target);
    } else {
      peer.succeed("ovs-ofctl", "-O", "OpenFlow13", command, target, argument);
    }
  }

  private static Outcome compare(
      Cases.Case subject, OvsPeer peer, VirtualSwitch ours, List<RecordingWire> wires)
      throws IOException, InterruptedException {
    StringBuilder detail = new StringBuilder();
    int sent = 0;
    boolean same = true;
    for (String frame : subject.frames()) {
      ours.receive(ours.port(1).orElseThrow(), NetworkFrame.of(HexFormat.of().parseHex(frame)));
      peer.receive(1, frame);
    }
    List<List<String>> expected = new ArrayList<>();
    List<List<String>> actual = new ArrayList<>();
    for (int i = 0; i < PORTS; i++) {
      actual.add(wires.get(i).take());
      expected.add(new ArrayList<>());
      sent += actual.get(i).size();
    }
    int waits = 0;
    int grace = 2;
    // Open vSwitch is slow on a busy host; where it is known to differ it may never get there.
    int patience = subject.deviation().isEmpty() ? 400 : 60;
    while (waits < patience && grace > 0) {
      int total = 0;
      for (int i = 0; i < PORTS; i++) {
        expected.get(i).addAll(peer.take(i + 1));
        total += expected.get(i).size();
      }
      if (total >= sent) {
        grace--;
      }
      waits++;
      Thread.sleep(15);
    }
    for (int i = 0; i < PORTS; i++) {
      List<String> theirs = expected.get(i).stream().sorted().toList();
      List<String> mine = actual.get(i).stream().sorted().toList();
      if (!theirs.equals(mine)) {
        same = false;
        detail.append(" port ").append(i + 1);
        detail.append(": Open vSwitch ").append(theirs).append(", ours ").append(mine);
      }
    }
    if (!subject.deviation().isEmpty()) {
      // Open vSwitch must differ still, or the table would say something untrue of it.
      same = !same && actual.get(1).equals(subject.specified());
    }
    return new Outcome(
        subject.feature(),
        subject.frames().size(),
        sent,
        same,
        detail.toString(),
        subject.deviation());
  }

  private static String table(List<Outcome> outcomes) throws FlowError {
    StringBuilder text = new StringBuilder("# OpenFlow 1.3 conformance\n\n");
    text.append(
        "Frames sent through our switch and through Open vSwitch's user-space datapath under ");
    text.append("the same program;\nthe frames that came out, compared byte for byte. ");
    text.append("Generated by `OvsConformanceTest`.\n\n");
    text.append("| feature | frames in | frames out | as Open vSwitch |\n|---|---|---|---|\n");
    for (Outcome outcome : outcomes) {
      text.append("| ").append(outcome.feature()).append(" | ").append(outcome.frames());
      text.append(" | ").append(outcome.sent()).append(" | ");
      text.append(
          !outcome.same()
              ? "DIFFERENT"
              : outcome.deviation().isEmpty() ? "same" : outcome.deviation());
      text.append(" |\n");
    }
    text.append(
        "\nWhat Open vSwitch has not, compared with the frames that OpenFlow 1.3.5 demands ");
    text.append("(`SpecifiedConformanceTest`):\n\n");
    text.append("| feature | frames in | frames out | as specified |\n|---|---|---|---|\n");
    for (SpecifiedConformanceTest.Outcome outcome : SpecifiedConformanceTest.outcomes()) {
      text.append("| ").append(outcome.feature()).append(" | ").append(outcome.frames());
      text.append(" | ").append(outcome.sent()).append(" | ");
      text.append(outcome.detail().isEmpty() ? "same, " : "DIFFERENT, ");
      text.append(outcome.paragraph()).append(" |\n");
    }
    return text.toString();
  }
}
