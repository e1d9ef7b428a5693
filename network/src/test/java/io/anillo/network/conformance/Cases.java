package io.anillo.network.conformance;

import java.util.ArrayList;
import java.util.List;

/**
 * What is compared: for each match field, action, group and meter a program and the frames sent
 * through it.
 */
final class Cases {
  /**
   * One comparison.
   *
   * @param feature what it is about, as the table prints it
   * @param setup ovs-ofctl commands with their argument, each in one string, done on both switches
   * @param frames frames that come in at port 1
   * @param specified where Open vSwitch deviates from the specification: what must leave by port 2
   *     instead
   * @param deviation what Open vSwitch does there, for the table
   */
  record Case(
      String feature,
      List<String> setup,
      List<String> frames,
      List<String> specified,
      String deviation) {
    Case(String feature, List<String> setup, List<String> frames) {
      this(feature, setup, frames, List.of(), "");
    }
  }

  private static final String TCP4 = Frames.ipv4(6, 0x28, 64, Frames.tcp(false, 0x18));
  private static final String UDP4 = Frames.ipv4(17, 0x2a, 64, Frames.udp(false));
  private static final String ICMP4 = Frames.ipv4(1, 0, 64, Frames.icmp4(8, 0));
  private static final String SCTP4 = Frames.ipv4(132, 0, 64, Frames.sctp());
  private static final String TCP6 = Frames.ipv6(6, 0x28, 0x12345, Frames.tcp(true, 0x02));
  private static final String UDP6 = Frames.ipv6(17, 0, 0, Frames.udp(true));
  private static final String ICMP6 =
      Frames.ipv6(58, 0, 0, Frames.icmp6(128, 0, "00010001aabbccdd"));
  private static final String SOLICIT = Frames.ipv6(58, 0, 0, Frames.neighbour(135));
  private static final String ADVERTISE = Frames.ipv6(58, 0, 0, Frames.neighbour(136));
  private static final String ARP1 = Frames.arp(1);
  private static final String ARP2 = Frames.arp(2);
  private static final String TAGGED = Frames.vlan(0x6007, TCP4);
  private static final String TWICE = Frames.vlan(0x2009, TAGGED);
  private static final String LABELLED = Frames.mpls(TCP4, 100 << 12 | 5 << 9 | 0x100 | 33);
  private static final String STACKED =
      Frames.mpls(TCP4, 200 << 12 | 3 << 9 | 44, 100 << 12 | 5 << 9 | 0x100 | 33);
  private static final String EXPIRING = Frames.ipv4(6, 0, 1, Frames.tcp(false, 0x10));

  static final List<String> ALL_FRAMES =
      List.of(
          TCP4, UDP4, ICMP4, SCTP4, TCP6, UDP6, ICMP6, SOLICIT, ADVERTISE, ARP1, ARP2, TAGGED,
          TWICE, LABELLED, STACKED, EXPIRING);

  private final List<Case> cases = new ArrayList<>();

  private Cases() {}

  static List<Case> all() {
    Cases builder = new Cases();
    builder.matches();
    builder.actions();
    builder.pipeline();
    builder.groups();
    builder.tracking();
    return builder.cases;
  }

  /** All frames pass a flow with the match to port 2, and others to port 3. */
  private void match(String field, String match) {
    cases.add(
        new Case(
            "match " + field,
            List.of(
                "add-flow priority=10," + match + ",actions=output:2",
                "add-flow priority=1,actions=output:3"),
            ALL_FRAMES));
  }

  private void matches() {
    match("in_port", "in_port=1");
    match("metadata (none)", "metadata=0");
    match("eth_dst", "dl_dst=02:00:00:00:00:02");
    match("eth_dst, masked", "dl_dst=00:00:00:00:00:02/00:00:00:00:00:0f");
    match("eth_src", "dl_src=02:00:00:00:00:01");
    match("eth_src, masked", "dl_src=02:00:00:00:00:00/ff:ff:ff:ff:ff:00");
    match("eth_type", "dl_type=0x0806");
    match("vlan_vid", "dl_vlan=7");
    match("vlan_vid, none", "vlan_tci=0");
    match("vlan_vid, any", "vlan_tci=0x1000/0x1000");
    match("vlan_pcp", "dl_vlan=7,dl_vlan_pcp=3");
    match("ip_dscp", "ip,ip_dscp=10");
    match("ip_ecn", "ip,nw_ecn=2");
    match("ip_dscp, IPv6", "ipv6,ip_dscp=10");
    match("ip_proto", "ip,nw_proto=17");
    match("ipv4_src", "ip,nw_src=10.0.0.1");
    match("ipv4_src, masked", "ip,nw_src=10.0.0.0/255.0.255.0");
    match("ipv4_dst", "ip,nw_dst=10.0.0.3");
    match("ipv4_dst, masked", "ip,nw_dst=10.0.0.0/30");
    match("tcp_src", "tcp,tp_src=1000");
    match("tcp_dst, masked", "tcp,tp_dst=0x50/0xfff0");
    match("udp_src", "udp,tp_src=1000");
    match("udp_dst", "udp,tp_dst=53");
    match("sctp_src", "sctp,tp_src=1000");
    match("sctp_dst", "sctp,tp_dst=2905");
    match("icmpv4_type", "icmp,icmp_type=8");
    match("icmpv4_code", "icmp,icmp_type=8,icmp_code=0");
    match("arp_op", "arp,arp_op=2");
    match("arp_spa", "arp,arp_spa=10.0.0.1");
    match("arp_tpa, masked", "arp,arp_tpa=10.0.0.0/8");
    match("arp_sha", "arp,arp_sha=02:00:00:00:00:01");
    match("arp_tha", "arp,arp_tha=02:00:00:00:00:02");
    match("ipv6_src", "ipv6,ipv6_src=2001:db8::1");
    match("ipv6_dst, masked", "ipv6,ipv6_dst=2001:db8::/64");
    match("ipv6_flabel", "ipv6,ipv6_label=0x12345");
    match("tcp_dst, IPv6", "tcp6,tp_dst=80");
    match("icmpv6_type", "icmp6,icmp_type=128");
    match("icmpv6_code", "icmp6,icmp_type=128,icmp_code=0");
    match("ipv6_nd_target", "icmp6,icmp_type=135,nd_target=2001:db8::2");
    match("ipv6_nd_sll", "icmp6,icmp_type=135,nd_sll=02:00:00:00:00:01");
    match("ipv6_nd_tll", "icmp6,icmp_type=136,nd_tll=02:00:00:00:00:02");
    match("mpls_label", "mpls,mpls_label=100");
    match("mpls_tc", "mpls,mpls_tc=3");
    match("mpls_bos", "mpls,mpls_bos=1");
    match("tunnel_id (none)", "tun_id=0");
    match("nw_ttl", "ip,nw_ttl=1");
    match("ip_frag", "ip,ip_frag=no");
    match("reg0 (none)", "reg0=0");
  }

  private void action(String name, String match, String actions, String... frames) {
    cases.add(
        new Case(
            "action " + name,
            List.of("add-flow priority=10," + match + ",actions=" + actions),
            List.of(frames)));
  }

  private void actions() {
    action("output", "in_port=1", "output:2,output:3", TCP4);
    action("output IN_PORT", "in_port=1", "IN_PORT", TCP4);
    action("output ALL", "in_port=1", "ALL", TCP4, ARP1);
    action("output FLOOD", "in_port=1", "FLOOD", TCP4);
    action("output NORMAL", "in_port=1", "NORMAL", TCP4, ARP1);
    action("output to the port it came from", "in_port=1", "output:1,output:2", TCP4);
    action("drop", "in_port=1", "drop", TCP4);
    action("push_vlan", "in_port=1", "push_vlan:0x8100,output:2", TCP4, ARP1);
    cases.add(
        new Case(
            "action push_vlan on a tagged frame",
            List.of("add-flow in_port=1,actions=push_vlan:0x8100,output:2"),
            List.of(TAGGED),
            List.of(Frames.vlan(0x6007, TAGGED)),
            "as §5.12.1; Open vSwitch does not copy the outer tag"));
    action(
        "push_vlan, set_field",
        "in_port=1",
        "push_vlan:0x8100,set_field:4196->vlan_vid,set_field:5->vlan_pcp,output:2",
        TCP4,
        TCP6);
    action("pop_vlan", "vlan_tci=0x1000/0x1000", "pop_vlan,output:2", TAGGED);
    cases.add(
        new Case(
            "action push_mpls",
            List.of("add-flow ip,actions=push_mpls:0x8847,output:2"),
            List.of(TCP4),
            List.of(Frames.mpls(TCP4, 0x100 | 64)),
            "as §5.12.1; Open vSwitch copies DSCP bits to the traffic class"));
    action(
        "push_mpls, set_field",
        "ip",
        "push_mpls:0x8847,set_field:77->mpls_label,set_field:2->mpls_tc,output:2",
        TCP4);
    action("push_mpls on mpls", "mpls", "push_mpls:0x8847,output:2", LABELLED);
    action("pop_mpls", "mpls,mpls_bos=1", "pop_mpls:0x0800,output:2", LABELLED);
    action("pop_mpls of a stack", "mpls,mpls_bos=0", "pop_mpls:0x8847,output:2", STACKED);
    action("set_mpls_ttl", "mpls", "set_mpls_ttl:9,output:2", LABELLED, STACKED);
    action("dec_mpls_ttl", "mpls", "dec_mpls_ttl,output:2", LABELLED, STACKED);
    action("dec_ttl", "ip", "dec_ttl,output:2", TCP4, UDP4, EXPIRING);
    action("dec_ttl, IPv6", "ipv6", "dec_ttl,output:2", TCP6);
    action("set_nw_ttl", "ip", "mod_nw_ttl:7,output:2", TCP4);
    action("set_queue", "in_port=1", "set_queue:3,output:2", TCP4);
    String[][] fields = {
      {"eth_dst", "02:11:22:33:44:55", "in_port=1"},
      {"eth_src", "02:11:22:33:44:55", "in_port=1"},
      {"vlan_vid", "4200", "vlan_tci=0x1000/0x1000"},
      {"vlan_pcp", "6", "vlan_tci=0x1000/0x1000"},
      {"ip_dscp", "46", "ip"},
      {"ip_ecn", "3", "ip"},
      {"nw_src", "192.168.77.1", "ip"},
      {"nw_dst", "192.168.77.2", "ip"},
      {"tcp_src", "4444", "tcp"},
      {"tcp_dst", "5555", "tcp"},
      {"udp_src", "4444", "udp"},
      {"udp_dst", "5555", "udp"},
      {"sctp_src", "4444", "sctp"},
      {"sctp_dst", "5555", "sctp"},
      {"icmp_type", "13", "icmp"},
      {"icmp_code", "1", "icmp"},
      {"arp_op", "2", "arp"},
      {"arp_spa", "10.9.9.9", "arp"},
      {"arp_tpa", "10.9.9.8", "arp"},
      {"arp_sha", "02:11:22:33:44:55", "arp"},
      {"arp_tha", "02:11:22:33:44:56", "arp"},
      {"ipv6_src", "2001:db8:7::1", "ipv6"},
      {"ipv6_dst", "2001:db8:7::2", "ipv6"},
      {"ipv6_label", "0x54321", "ipv6"},
      {"nd_target", "2001:db8:7::3", "icmp6,icmp_type=135"},
      {"nd_sll", "02:11:22:33:44:55", "icmp6,icmp_type=135"},
      {"nd_tll", "02:11:22:33:44:55", "icmp6,icmp_type=136"},
      {"mpls_label", "999", "mpls"},
      {"mpls_tc", "7", "mpls"},
    };
    for (String[] field : fields) {
      action(
          "set_field " + field[0],
          field[2],
          "set_field:" + field[1] + "->" + field[0] + ",output:2",
          ALL_FRAMES.toArray(String[]::new));
    }
    action(
        "set_field, masked", "ip", "set_field:10.7.0.0/255.255.0.0->nw_dst,output:2", TCP4, UDP4);
    String[][] inside = {
      {"metadata", "0x1234"}, {"tunnel_id", "0x77"}, {"reg5", "9"},
    };
    for (String[] field : inside) {
      String name = field[0].replace("tunnel_id", "tun_id");
      cases.add(
          new Case(
              "action set_field " + field[0] + ", matched in the next table",
              List.of(
                  "add-flow table=0,ip,actions=set_field:"
                      + field[1]
                      + "->"
                      + name
                      + ",goto_table:1",
                  "add-flow table=0,priority=1,actions=goto_table:1",
                  "add-flow table=1,priority=2," + name + "=" + field[1] + ",actions=output:2",
                  "add-flow table=1,priority=1,actions=output:3"),
              ALL_FRAMES));
    }
    action(
        "reg_load and move",
        "in_port=1",
        "load:0x5->NXM_NX_REG0[4..7],move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],output:2",
        TCP4);
    action(
        "output of a register",
        "in_port=1",
        "load:0x2->NXM_NX_REG3[],output:NXM_NX_REG3[0..15]",
        TCP4);
  }

  private void pipeline() {
    cases.add(
        new Case(
            "several tables, metadata",
            List.of(
                "add-flow"
                    + " table=0,priority=1,in_port=1,actions=write_metadata:0x12/0xff,goto_table:5",
                "add-flow table=5,priority=2,metadata=0x2/0xf,ip,actions=output:2",
                "add-flow table=5,priority=1,actions=output:3"),
            ALL_FRAMES));
    cases.add(
        new Case(
            "action set: order and replacement",
            List.of(
                "add-flow"
                    + " table=0,in_port=1,ip,actions=write_actions(output:3,set_field:10.8.8.8->nw_dst),goto_table:1",
                "add-flow table=1,ip,actions=write_actions(dec_ttl,output:2)"),
            List.of(TCP4, UDP4)));
    cases.add(
        new Case(
            "clear_actions",
            List.of(
                "add-flow table=0,in_port=1,actions=write_actions(output:3),goto_table:1",
                "add-flow table=1,priority=2,arp,actions=clear_actions",
                "add-flow table=1,priority=1,actions=drop"),
            List.of(TCP4, ARP1)));
    cases.add(
        new Case(
            "matching what was set before",
            List.of(
                "add-flow table=0,ip,actions=set_field:10.0.0.99->nw_dst,goto_table:1",
                "add-flow table=1,priority=2,ip,nw_dst=10.0.0.99,actions=output:2",
                "add-flow table=1,priority=1,actions=output:3"),
            List.of(TCP4, UDP4)));
    cases.add(
        new Case(
            "matching behind a popped label",
            List.of(
                "add-flow table=0,mpls,mpls_bos=1,actions=pop_mpls:0x0800,goto_table:1",
                "add-flow table=1,priority=2,tcp,tp_dst=80,actions=output:2",
                "add-flow table=1,priority=1,actions=output:3"),
            List.of(LABELLED)));
    cases.add(
        new Case(
            "resubmit",
            List.of(
                "add-flow table=0,in_port=1,actions=resubmit(,3),output:3",
                "add-flow table=3,tcp,actions=output:2"),
            List.of(TCP4, UDP4)));
    cases.add(new Case("miss drops", List.of("add-flow table=0,udp,actions=output:2"), ALL_FRAMES));
    cases.add(
        new Case(
            "priority",
            List.of(
                "add-flow priority=5,ip,actions=output:2",
                "add-flow priority=6,tcp,actions=output:3",
                "add-flow priority=4,actions=output:4"),
            ALL_FRAMES));
  }

  private void groups() {
    cases.add(
        new Case(
            "group all",
            List.of(
                "add-group"
                    + " group_id=1,type=all,bucket=output:2,bucket=set_field:02:00:00:00:00:99->eth_dst,output:3,bucket=output:4",
                "add-flow in_port=1,actions=group:1"),
            List.of(TCP4, ARP1)));
    cases.add(
        new Case(
            "group indirect",
            List.of(
                "add-group group_id=1,type=indirect,bucket=push_vlan:0x8100,output:2",
                "add-flow in_port=1,actions=group:1,output:3"),
            List.of(TCP4)));
    cases.add(
        new Case(
            "group fast failover",
            List.of(
                "add-group"
                    + " group_id=1,type=ff,bucket=watch_port:9,output:3,bucket=watch_port:2,output:2",
                "add-flow in_port=1,actions=group:1"),
            List.of(TCP4)));
    cases.add(
        new Case(
            "group fast failover, a watched group",
            List.of(
                "add-group group_id=2,type=ff,bucket=watch_port:9,output:3",
                "add-group group_id=3,type=ff,bucket=watch_port:2,output:2",
                "add-group"
                    + " group_id=1,type=ff,bucket=watch_group:2,group:2,bucket=watch_group:3,group:3",
                "add-flow in_port=1,actions=group:1"),
            List.of(TCP4)));
    cases.add(
        new Case(
            "group select, a bucket of weight 0",
            List.of(
                "add-group"
                    + " group_id=1,type=select,bucket=weight:0,output:3,bucket=weight:5,output:2",
                "add-flow in_port=1,actions=group:1"),
            ALL_FRAMES));
    cases.add(
        new Case(
            "group select, one bucket",
            List.of(
                "add-group group_id=1,type=select,bucket=weight:3,output:2",
                "add-flow in_port=1,actions=group:1"),
            List.of(TCP4, UDP4)));
    cases.add(
        new Case(
            "group within a group",
            List.of(
                "add-group group_id=2,type=all,bucket=output:3,bucket=output:4",
                "add-group group_id=1,type=all,bucket=output:2,bucket=group:2",
                "add-flow in_port=1,actions=write_actions(group:1)"),
            List.of(TCP4)));
    cases.add(
        new Case(
            "meter, drop",
            List.of(
                "add-meter meter=1,pktps,burst,bands=type=drop,rate=1,burst_size=2",
                "add-flow in_port=1,actions=meter:1,output:2"),
            List.of(TCP4, TCP4, TCP4, TCP4, TCP4)));
    // One frame is 872 of the 1,000 bits that may come at once; another takes 0.7 s to save up.
    String padded = TCP4 + "00".repeat(30);
    cases.add(
        new Case(
            "meter, drop, kilobits",
            List.of(
                "add-meter meter=1,kbps,burst,bands=type=drop,rate=1,burst_size=1",
                "add-flow in_port=1,actions=meter:1,output:2"),
            List.of(padded, padded, padded)));
  }

  private void tracking() {
    cases.add(
        new Case(
            "ct: new, commit",
            List.of(
                "add-flow table=0,ct_state=-trk,ip,actions=ct(table=1,zone=3)",
                "add-flow table=1,ct_state=+trk+new,ip,actions=ct(commit,zone=3),output:2",
                "add-flow table=1,ct_state=+trk+est,ip,actions=output:3",
                "add-flow table=1,ct_state=+trk+inv,ip,actions=output:4"),
            List.of(UDP4, ICMP4, UDP4)));
    cases.add(
        new Case(
            "ct: source translation",
            List.of("add-flow table=0,udp,actions=ct(commit,zone=4,nat(src=10.77.0.1)),output:2"),
            List.of(UDP4)));
    cases.add(
        new Case(
            "ct: destination translation",
            List.of(
                "add-flow table=0,udp,actions=ct(commit,zone=6,nat(dst=10.77.0.9:5353),table=1)",
                "add-flow table=1,udp,nw_dst=10.77.0.9,actions=output:2"),
            List.of(UDP4)));
  }
}
