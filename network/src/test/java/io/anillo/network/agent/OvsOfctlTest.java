package io.anillo.network.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.network.Peers;
import io.anillo.network.RecordingWire;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkFrame;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Open vSwitch's ovs-ofctl manages our switch over OpenFlow 1.3. */
class OvsOfctlTest {
  private VirtualSwitch subject;
  private OpenFlowAgent agent;
  private RecordingWire one;
  private RecordingWire two;
  private String target;
  private @TempDir Path folder;

  @BeforeEach
  void start() throws Exception {
    Peers.require("ovs-ofctl");
    subject = new VirtualSwitch("s1", 0xa11L, Clock.system());
    one = new RecordingWire();
    two = new RecordingWire();
    subject.addPort("p1", one);
    subject.addPort("p2", two);
    agent = new OpenFlowAgent(subject, OpenFlowAgent.FailMode.SECURE);
    int port = agent.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    target = "tcp:127.0.0.1:" + port;
  }

  @AfterEach
  void stop() {
    if (agent != null) {
      agent.close();
      subject.close();
    }
  }

  private String ofctl(String command, String... arguments) {
    List<String> line = new ArrayList<>(List.of("ovs-ofctl", "-O", "OpenFlow13", command, target));
    line.addAll(List.of(arguments));
    return Peers.succeed(line.toArray(String[]::new));
  }

  @Test
  void showsThePorts() {
    assertThat(ofctl("show"))
        .contains("dpid:0000000000000a11", "n_tables:254", "1(p1)", "2(p2)", "LIVE");
    assertThat(ofctl("dump-desc")).contains("Manufacturer: Anillo", "DP Description: s1");
    assertThat(ofctl("dump-ports")).contains("2 ports");
    assertThat(ofctl("dump-table-features")).contains("table 253", "max_entries=1000000");
    assertThat(ofctl("dump-tables")).contains("table 0:");
    assertThat(ofctl("dump-group-features")).contains("Group table", "fast failover group");
    assertThat(ofctl("meter-features")).contains("max_meter:65536");
  }

  @Test
  void takesFlowsAndReportsThemBackAsTheyWere() throws Exception {
    List<String> flows =
        List.of(
            "priority=100,in_port=1,dl_type=0x0800,nw_dst=10.0.0.0/8 actions=output:2",
            "priority=90,ipv6,ipv6_dst=2001:db8::/32 actions=dec_ttl,output:2",
            "priority=80,tcp,tp_dst=80 actions=set_field:02:00:00:00:00:01->eth_dst,output:2",
            "priority=70,dl_vlan=7 actions=pop_vlan,goto_table:1",
            "table=1,priority=5,metadata=0x7/0xff actions=write_actions(output:2)",
            "priority=60,arp,arp_tpa=10.0.0.1 actions=CONTROLLER:65535",
            "priority=50,ct_state=-trk,ip actions=ct(table=2,zone=5)",
            "table=2,priority=50,ct_state=+new+trk,ip"
                + " actions=ct(commit,zone=5,nat(src=10.1.1.1)),output:2",
            "priority=0 actions=NORMAL");
    Path file = folder.resolve("flows");
    Files.write(file, flows);
    ofctl("add-flows", file.toString());
    String dump = ofctl("dump-flows");
    assertThat(dump)
        .contains("priority=100,ip,in_port=1,nw_dst=10.0.0.0/8 actions=output:2")
        .contains("priority=90,ipv6,ipv6_dst=2001:db8::/32 actions=dec_ttl,output:2")
        .contains("set_field:02:00:00:00:00:01->eth_dst")
        .contains("dl_vlan=7 actions=pop_vlan,goto_table:1")
        .contains("metadata=0x7/0xff actions=write_actions(output:2)")
        .contains("arp_tpa=10.0.0.1 actions=CONTROLLER:65535")
        .contains("ct_state=-trk,ip actions=ct(table=2,zone=5)")
        .contains("ct_state=+new+trk,ip actions=ct(commit,zone=5,nat(src=10.1.1.1)),output:2");
    assertThat(ofctl("dump-aggregate")).contains("flow_count=9");
    ofctl("del-flows", "ip");
    assertThat(ofctl("dump-aggregate")).contains("flow_count=5");
    Peers.succeed("ovs-ofctl", "-O", "OpenFlow13", "--strict", "del-flows", target, "priority=0");
    assertThat(ofctl("dump-aggregate")).contains("flow_count=4");
  }

  @Test
  void forwardsAsTheFlowsSayAndCounts() {
    ofctl(
        "add-flow",
        "priority=1,in_port=1 actions=push_vlan:0x8100,set_field:4103->vlan_vid,output:2");
    String frame = "0200000000020200000000010800" + "00".repeat(50);
    for (int i = 0; i < 3; i++) {
      subject.receive(
          subject.port(1).orElseThrow(), NetworkFrame.of(HexFormat.of().parseHex(frame)));
    }
    String tagged = "020000000002020000000001" + "81000007" + "0800" + "00".repeat(50);
    assertThat(two.take()).containsExactly(tagged, tagged, tagged);
    assertThat(ofctl("dump-flows")).contains("n_packets=3, n_bytes=192");
    assertThat(ofctl("dump-ports", "p2")).contains("tx pkts=3, bytes=204");
  }

  @Test
  void keepsGroupsAndMeters() {
    ofctl("add-group", "group_id=1,type=all,bucket=output:1,bucket=output:2");
    ofctl("add-group", "group_id=2,type=select,bucket=weight:5,output:1,bucket=weight:10,output:2");
    ofctl(
        "add-group",
        "group_id=3,type=ff,bucket=watch_port:1,output:1,bucket=watch_port:2,output:2");
    ofctl("add-group", "group_id=4,type=indirect,bucket=output:2");
    ofctl("mod-group", "group_id=4,type=indirect,bucket=output:1");
    assertThat(ofctl("dump-groups"))
        .contains("group_id=1,type=all,bucket=actions=output:1,bucket=actions=output:2")
        .contains("bucket=weight:5,actions=output:1")
        .contains("bucket=watch_port:1,actions=output:1")
        .contains("group_id=4,type=indirect,bucket=actions=output:1");
    ofctl("add-meter", "meter=7,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100");
    assertThat(ofctl("dump-meters")).contains("meter=7 kbps burst stats", "rate=1000");
    ofctl("add-flow", "in_port=1 actions=meter:7,group:1");
    assertThat(ofctl("meter-stats")).contains("meter:7 flow_count:1");
    assertThat(ofctl("dump-group-stats")).contains("group_id=1", "ref_count=1");
    ofctl("del-groups", "group_id=1");
    assertThat(ofctl("dump-aggregate")).contains("flow_count=0");
    ofctl("del-meters");
    assertThat(ofctl("dump-meters")).doesNotContain("meter=7");
  }

  @Test
  void refusesWhatItCannotDoWithOpenFlowsError() {
    Peers.Result result =
        Peers.run(
            10, "ovs-ofctl", "-O", "OpenFlow13", "add-flow", target, "in_port=1 actions=group:99");
    assertThat(result.output()).contains("OFPBAC_BAD_OUT_GROUP");
    result =
        Peers.run(
            10, "ovs-ofctl", "-O", "OpenFlow13", "add-flow", target, "in_port=1 actions=meter:99");
    assertThat(result.output()).contains("OFPMMFC_INVALID_METER");
    result = Peers.run(10, "ovs-ofctl", "-O", "OpenFlow10", "show", target);
    assertThat(result.exitCode()).isNotZero();
  }

  @Test
  void sendsPacketsOutAndIn() throws Exception {
    String frame = "0200000000020200000000010806" + "00".repeat(50);
    ofctl("packet-out", "in_port=controller packet=" + frame + " actions=output:1,output:2");
    assertThat(one.take()).containsExactly(frame);
    assertThat(two.take()).containsExactly(frame);
    ofctl("add-flow", "priority=0 actions=CONTROLLER:65535");
    Path log = folder.resolve("monitor");
    ProcessBuilder builder =
        new ProcessBuilder("ovs-ofctl", "-O", "OpenFlow13", "monitor", target, "65534")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    Process monitor = builder.start();
    try {
      for (int i = 0; i < 50 && agent.controllers() == 0; i++) {
        Thread.sleep(50);
      }
      Thread.sleep(300);
      subject.receive(
          subject.port(1).orElseThrow(), NetworkFrame.of(HexFormat.of().parseHex(frame)));
      for (int i = 0; i < 50 && !Files.readString(log).contains("PACKET_IN"); i++) {
        Thread.sleep(50);
      }
    } finally {
      monitor.destroy();
    }
    assertThat(Files.readString(log))
        .contains("OFPT_PACKET_IN", "(via no_match)", "in_port=1", "arp");
  }
}
