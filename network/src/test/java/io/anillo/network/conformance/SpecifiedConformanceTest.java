package io.anillo.network.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.RecordingWire;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * What Open vSwitch has not, compared byte for byte with the frames that the specification demands.
 * The programs go through OpenFlow's encoding on their way.
 */
class SpecifiedConformanceTest {
  private static final int PORTS = 3;
  private static final int FLOWS = 4000;

  /** One line of the table; {@code detail} says what differed, and is empty when nothing did. */
  record Outcome(String feature, String paragraph, int frames, int sent, String detail) {}

  @Test
  void sendsWhatTheSpecificationSays() throws Exception {
    assertThat(outcomes().stream().filter(outcome -> !outcome.detail().isEmpty())).isEmpty();
  }

  static List<Outcome> outcomes() throws FlowError {
    List<Outcome> outcomes = new ArrayList<>();
    for (SpecifiedCases.Case subject : SpecifiedCases.all()) {
      outcomes.add(compare(subject));
    }
    outcomes.add(weighted());
    return outcomes;
  }

  /** Time stands still, so that meters take no notice of the host's speed. */
  private static final class StandingClock implements Clock {
    @Override
    public long monotonicNanos() {
      return 0;
    }

    @Override
    public long wallNanos() {
      return 0;
    }
  }

  private static VirtualSwitch withPorts(List<RecordingWire> wires) {
    VirtualSwitch subject = new VirtualSwitch("subject", 1, new StandingClock());
    for (int i = 1; i <= PORTS; i++) {
      RecordingWire wire = new RecordingWire();
      wires.add(wire);
      subject.addPort("p" + i, wire);
    }
    return subject;
  }

  private static void receive(VirtualSwitch subject, String frame) {
    subject.receive(subject.port(1).orElseThrow(), NetworkFrame.of(HexFormat.of().parseHex(frame)));
  }

  private static Outcome compare(SpecifiedCases.Case subject) throws FlowError {
    List<RecordingWire> wires = new ArrayList<>();
    try (VirtualSwitch ours = withPorts(wires)) {
      FlowCodec.MeterMod meter =
          FlowCodec.readMeterMod(
              FlowCodec.writeMeterMod(
                      1,
                      new FlowCodec.MeterMod(
                          0,
                          Meter.PACKETS | Meter.BURST,
                          SpecifiedCases.METER,
                          SpecifiedCases.REMARKING))
                  .reader());
      ours.putMeter(meter.meter(), meter.flags(), meter.bands(), false);
      for (FlowModification flow : subject.flows()) {
        ours.modify(
            FlowCodec.readFlowMod(FlowCodec.writeFlowMod(1, flow, FlowCodec.NO_BUFFER).reader())
                .modification());
      }
      for (String frame : subject.frames()) {
        receive(ours, frame);
      }
      List<String> first = wires.get(0).take();
      List<String> second = wires.get(1).take();
      List<String> third = wires.get(2).take();
      boolean same =
          first.isEmpty() && second.equals(subject.second()) && third.equals(subject.third());
      return new Outcome(
          subject.feature(),
          subject.paragraph(),
          subject.frames().size(),
          second.size() + third.size(),
          same ? "" : "port 1: " + first + ", 2: " + second + ", 3: " + third);
    }
  }

  /** Flows are spread as the weights 1 and 3 say, each always to the same bucket, unchanged. */
  private static Outcome weighted() throws FlowError {
    List<RecordingWire> wires = new ArrayList<>();
    try (VirtualSwitch ours = withPorts(wires)) {
      FlowCodec.GroupMod group =
          FlowCodec.readGroupMod(
              FlowCodec.writeGroupMod(
                      1,
                      new FlowCodec.GroupMod(
                          0, 1, Group.Type.SELECT, List.of(bucket(1, 2), bucket(3, 3))))
                  .reader());
      ours.addGroup(group.group(), group.type(), group.buckets());
      ours.modify(FlowModification.add(0, 1, Match.ANY, Instructions.apply(new Action.Group(1))));
      List<String> frames = new ArrayList<>();
      for (int i = 0; i < FLOWS; i++) {
        frames.add(Frames.ipv4(17, 0, 64, Frames.udp(1024 + i)));
      }
      frames.forEach(frame -> receive(ours, frame));
      List<String> light = wires.get(1).take();
      List<String> heavy = wires.get(2).take();
      frames.forEach(frame -> receive(ours, frame));
      List<String> all = new ArrayList<>(light);
      all.addAll(heavy);
      boolean spread = light.size() > FLOWS * 22 / 100 && light.size() < FLOWS * 28 / 100;
      boolean unchanged = all.stream().sorted().toList().equals(frames.stream().sorted().toList());
      boolean kept = wires.get(1).take().equals(light) && wires.get(2).take().equals(heavy);
      return new Outcome(
          "group select, weights 1 and 3",
          "§5.6.1",
          FLOWS,
          all.size(),
          spread && unchanged && kept ? "" : light.size() + " and " + heavy.size());
    }
  }

  private static Group.Bucket bucket(int weight, int port) {
    return new Group.Bucket(weight, Ports.ANY, Ports.ANY_GROUP, List.of(new Action.Output(port)));
  }
}
