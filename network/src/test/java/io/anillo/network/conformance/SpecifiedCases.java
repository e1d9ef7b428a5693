package io.anillo.network.conformance;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;

/**
 * What OpenFlow 1.3.5 has and Open vSwitch has not: programs, frames that come in at port 1, and
 * the frames that the specification makes of them.
 */
final class SpecifiedCases {
  /**
   * One comparison.
   *
   * @param feature what it is about, and the paragraph that says so, as the table prints it
   * @param flows what is put into the tables
   * @param frames what comes in at port 1
   * @param second what must leave by port 2, in this order
   * @param third the same of port 3
   */
  record Case(
      String feature,
      String paragraph,
      List<FlowModification> flows,
      List<String> frames,
      List<String> second,
      List<String> third) {}

  /** A meter that lets two packets a second pass as they are and remarks the others by one. */
  static final List<Meter.Band> REMARKING = List.of(new Meter.Band(false, 1, 2, 1));

  static final int METER = 1;
  static final int METER_FLAGS = Meter.PACKETS | Meter.BURST;

  private static final String TCP4 = Frames.ipv4(6, 0x28, 64, Frames.tcp(false, 0x18));
  private static final String TCP6 = Frames.ipv6(6, 0x28, 0x12345, Frames.tcp(true, 0x02));
  private static final String TAGGED = Frames.vlan(0x6007, TCP4);
  private static final Action SECOND = new Action.Output(2);

  private final List<Case> cases = new ArrayList<>();

  private SpecifiedCases() {}

  static List<Case> all() {
    SpecifiedCases builder = new SpecifiedCases();
    builder.matches();
    builder.backbone();
    builder.timesToLive();
    builder.meter();
    return builder.cases;
  }

  private static FlowModification flow(int table, int priority, Match match, Action... actions) {
    return FlowModification.add(table, priority, match, Instructions.apply(actions));
  }

  private static Match of(MatchField field, long value) {
    return Match.builder().set(field, value).build();
  }

  private static Match typed(int etherType, MatchField field, long value, long mask) {
    return Match.builder().set(MatchField.ETH_TYPE, etherType).masked(field, value, mask).build();
  }

  /** Frames with the match leave by port 2, all others by port 3. */
  private void match(String name, Match match, List<String> matching, List<String> others) {
    List<String> all = new ArrayList<>(matching);
    all.addAll(others);
    List<FlowModification> flows =
        List.of(flow(0, 2, match, SECOND), flow(0, 1, Match.ANY, new Action.Output(3)));
    cases.add(new Case("match " + name, "§7.2.3.7", flows, all, matching, others));
  }

  private void action(
      String name,
      String paragraph,
      List<String> frames,
      List<String> expected,
      Action... actions) {
    List<Action> list = new ArrayList<>(List.of(actions));
    list.add(SECOND);
    List<FlowModification> flows =
        List.of(flow(0, 1, of(MatchField.IN_PORT, 1), list.toArray(Action[]::new)));
    cases.add(new Case("action " + name, paragraph, flows, frames, expected, List.of()));
  }

  private void matches() {
    String service = Frames.backbone(0x123456, 0, TCP4);
    String neighbouring = Frames.backbone(0x123457, 0, TCP4);
    match(
        "pbb_isid",
        typed(0x88e7, MatchField.PBB_ISID, 0x123456, 0xffffff),
        List.of(service),
        List.of(neighbouring, TCP4));
    match(
        "pbb_isid, masked",
        typed(0x88e7, MatchField.PBB_ISID, 0x123450, 0xfffff0),
        List.of(service, neighbouring),
        List.of(TCP4));
    Match ports = Match.builder().set(MatchField.IN_PORT, 1).set(MatchField.IN_PHY_PORT, 1).build();
    match("in_phy_port", ports, List.of(TCP4), List.of());
    String hops = Frames.extended(0);
    String routed = Frames.extended(43);
    String fragment = Frames.extended(44);
    String last = Frames.extended(59);
    String options = Frames.extended(60);
    String twice = Frames.extended(43, 43);
    String unordered = Frames.extended(43, 0);
    match(
        "ipv6_exthdr, none of them",
        typed(0x86dd, MatchField.IPV6_EXTHDR, 0, 0x1ff),
        List.of(TCP6),
        List.of(hops, routed, fragment, last));
    match("ipv6_exthdr, HOP", extension(0x40), List.of(hops), List.of(routed, fragment, TCP6));
    match("ipv6_exthdr, ROUTER", extension(0x20), List.of(routed), List.of(hops, fragment, TCP6));
    match("ipv6_exthdr, FRAG", extension(0x10), List.of(fragment), List.of(hops, routed, TCP6));
    match("ipv6_exthdr, NONEXT", extension(0x01), List.of(last), List.of(hops, routed, TCP6));
    match("ipv6_exthdr, DEST", extension(0x08), List.of(options), List.of(hops, routed, TCP6));
    match("ipv6_exthdr, UNREP", extension(0x80), List.of(twice), List.of(hops, routed, TCP6));
    match("ipv6_exthdr, UNSEQ", extension(0x100), List.of(unordered), List.of(hops, twice, TCP6));
  }

  private static Match extension(int bit) {
    return typed(0x86dd, MatchField.IPV6_EXTHDR, bit, bit);
  }

  private void backbone() {
    String section = "§5.12.1";
    action(
        "push_pbb",
        section,
        List.of(TCP4, TCP6),
        List.of(Frames.backbone(0, 0, TCP4), Frames.backbone(0, 0, TCP6)),
        new Action.PushPbb(0x88e7));
    action(
        "push_pbb on a tagged frame",
        section,
        List.of(TAGGED),
        List.of(Frames.backbone(0, 3, TAGGED)),
        new Action.PushPbb(0x88e7));
    String service = Frames.backbone(0x123456, 0, TCP4);
    action(
        "push_pbb on such a frame",
        section,
        List.of(service),
        List.of(Frames.backbone(0x123456, 0, service)),
        new Action.PushPbb(0x88e7));
    action(
        "push_pbb, set_field",
        "§7.2.5",
        List.of(TCP4),
        List.of(service),
        new Action.PushPbb(0x88e7),
        new Action.SetField(MatchField.PBB_ISID, 0x123456));
    action(
        "pop_pbb",
        "§5.12",
        List.of(service, Frames.backbone(7, 3, TAGGED)),
        List.of(TCP4, TAGGED),
        new Action.PopPbb());
    cases.add(
        new Case(
            "matching behind a popped service tag",
            "§5.12",
            List.of(
                FlowModification.add(
                    0,
                    1,
                    of(MatchField.ETH_TYPE, 0x88e7),
                    Instructions.apply(new Action.PopPbb()).withGoto(1)),
                flow(1, 2, of(MatchField.ETH_TYPE, 0x0800), SECOND),
                flow(1, 1, Match.ANY, new Action.Output(3))),
            List.of(service, Frames.backbone(7, 0, TCP6)),
            List.of(TCP4),
            List.of(TCP6)));
  }

  private void timesToLive() {
    String section = "§5.12";
    int label = 100 << 12 | 0x100;
    int above = 200 << 12;
    String inner = Frames.ipv4(6, 0x28, 33, Frames.tcp(false, 0x18));
    action(
        "copy_ttl_out",
        section,
        List.of(Frames.mpls(TCP4, label | 9), Frames.mpls(TCP6, label | 9)),
        List.of(Frames.mpls(TCP4, label | 64), Frames.mpls(TCP6, label | 64)),
        new Action.CopyTtlOut());
    action(
        "copy_ttl_out of a stack",
        section,
        List.of(Frames.mpls(TCP4, above | 9, label | 33)),
        List.of(Frames.mpls(TCP4, above | 33, label | 33)),
        new Action.CopyTtlOut());
    action(
        "copy_ttl_in",
        section,
        List.of(Frames.mpls(TCP4, label | 33)),
        List.of(Frames.mpls(inner, label | 33)),
        new Action.CopyTtlIn());
    action(
        "copy_ttl_in, IPv6",
        section,
        List.of(Frames.mpls(TCP6, label | 33)),
        List.of(Frames.mpls(Frames.withHopLimit(TCP6, 33), label | 33)),
        new Action.CopyTtlIn());
    action(
        "copy_ttl_in of a stack",
        section,
        List.of(Frames.mpls(TCP4, above | 9, label | 33)),
        List.of(Frames.mpls(TCP4, above | 9, label | 9)),
        new Action.CopyTtlIn());
    action(
        "copy_ttl_in, pop_mpls",
        section,
        List.of(Frames.mpls(TCP4, label | 33)),
        List.of(inner),
        new Action.CopyTtlIn(),
        new Action.PopMpls(0x0800));
  }

  private void meter() {
    // AF11 has drop precedence 1, AF12 has 2; best effort has none that could be raised.
    String marked = Frames.ipv4(6, 12 << 2, 64, Frames.tcp(false, 0x18));
    String plain = Frames.ipv4(6, 0, 64, Frames.tcp(false, 0x18));
    FlowModification metered =
        FlowModification.add(
            0, 1, Match.ANY, new Instructions(METER, List.of(SECOND), false, List.of(), 0, 0, -1));
    cases.add(
        new Case(
            "meter, dscp_remark",
            "§5.7.1",
            List.of(metered),
            List.of(TCP4, TCP4, TCP4, plain),
            List.of(TCP4, TCP4, marked, plain),
            List.of()));
    FlowModification onward =
        FlowModification.add(
            0, 1, Match.ANY, new Instructions(METER, List.of(), false, List.of(), 0, 0, 1));
    Match remarked =
        Match.builder().set(MatchField.ETH_TYPE, 0x0800).set(MatchField.IP_DSCP, 12).build();
    cases.add(
        new Case(
            "meter, dscp_remark, matched in the next table",
            "§5.7.1",
            List.of(
                onward, flow(1, 2, remarked, new Action.Output(3)), flow(1, 1, Match.ANY, SECOND)),
            List.of(TCP4, TCP4, TCP4, TCP4),
            List.of(TCP4, TCP4),
            List.of(marked, marked)));
  }
}
