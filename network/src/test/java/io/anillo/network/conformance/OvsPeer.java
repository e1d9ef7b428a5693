package io.anillo.network.conformance;

import io.anillo.network.Peers;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * An Open vSwitch of our own in a folder, without privileges: its user-space datapath with dummy
 * ports that take frames from the command line and write what they send to capture files.
 */
public final class OvsPeer implements AutoCloseable {
  private final Path folder;
  private final List<Process> processes = new ArrayList<>();
  private final long[] read = new long[64];
  private String target = "";

  private OvsPeer(Path folder) {
    this.folder = folder;
  }

  /** An Open vSwitch with one bridge of dummy ports numbered from 1. */
  public OvsPeer(Path folder, int ports) throws IOException, InterruptedException {
    this(folder);
    boot("--enable-dummy=override", "--disable-system");
    succeed(
        "ovs-vsctl",
        "--timeout=20",
        "add-br",
        "br0",
        "--",
        "set",
        "bridge",
        "br0",
        "datapath_type=dummy",
        "fail-mode=secure",
        "protocols=OpenFlow13,OpenFlow15",
        "--",
        "set",
        "Open_vSwitch",
        ".",
        "other_config:vlan-limit=2");
    for (int i = 1; i <= ports; i++) {
      succeed(
          "ovs-vsctl",
          "--timeout=20",
          "add-port",
          "br0",
          "p" + i,
          "--",
          "set",
          "interface",
          "p" + i,
          "type=dummy",
          "ofport_request=" + i,
          "options:tx_pcap=" + folder.resolve("p" + i + ".pcap"));
    }
    target = "unix:" + folder.resolve("br0.mgmt");
    await("br0.mgmt");
  }

  /** An Open vSwitch without bridges whose ports may be real interfaces; needs root. */
  public static OvsPeer real(Path folder) throws IOException, InterruptedException {
    OvsPeer peer = new OvsPeer(folder);
    peer.boot("--disable-system");
    return peer;
  }

  private void boot(String... options) throws IOException, InterruptedException {
    Path database = folder.resolve("conf.db");
    succeed(
        "ovsdb-tool", "create", database.toString(), "/usr/share/openvswitch/vswitch.ovsschema");
    start(
        "ovsdb-server",
        database.toString(),
        "--remote=punix:" + folder.resolve("db.sock"),
        "--no-chdir");
    await("db.sock");
    succeed("ovs-vsctl", "--no-wait", "init");
    List<String> command =
        new ArrayList<>(
            List.of(
                "ovs-vswitchd",
                "unix:" + folder.resolve("db.sock"),
                "--no-chdir",
                "--unixctl=" + folder.resolve("vswitchd.ctl"),
                "--log-file=" + folder.resolve("vswitchd.log")));
    command.addAll(List.of(options));
    start(command.toArray(String[]::new));
  }

  /** Adds a bridge of the user-space datapath that calls a controller on the loopback. */
  public void addBridge(String name, int datapathId, int controllerPort) {
    succeed(
        "ovs-vsctl",
        "--timeout=20",
        "add-br",
        name,
        "--",
        "set",
        "bridge",
        name,
        "datapath_type=netdev",
        "fail-mode=secure",
        "protocols=OpenFlow13",
        String.format("other-config:datapath-id=%016x", datapathId),
        "--",
        "set-controller",
        name,
        "tcp:127.0.0.1:" + controllerPort);
  }

  /** Joins two bridges by patch ports. */
  public void patch(String left, String right) {
    for (String[] end : new String[][] {{left, right}, {right, left}}) {
      String port = end[0] + "-" + end[1];
      succeed(
          "ovs-vsctl",
          "--timeout=20",
          "add-port",
          end[0],
          port,
          "--",
          "set",
          "interface",
          port,
          "type=patch",
          "options:peer=" + end[1] + "-" + end[0]);
    }
  }

  public String target() {
    return target;
  }

  private void start(String... command) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve(command[0] + ".out").toFile());
    builder.environment().put("OVS_RUNDIR", folder.toString());
    builder.environment().put("OVS_DBDIR", folder.toString());
    builder.environment().put("OVS_LOGDIR", folder.toString());
    processes.add(builder.start());
  }

  private void await(String file) throws InterruptedException, IOException {
    for (int i = 0; i < 200; i++) {
      if (Files.exists(folder.resolve(file))) {
        return;
      }
      Thread.sleep(50);
    }
    throw new IOException("Open vSwitch did not start: no " + file);
  }

  /** Runs one of Open vSwitch's tools against this instance. */
  public String succeed(String... command) {
    List<String> line = new ArrayList<>();
    line.add("env");
    line.add("OVS_RUNDIR=" + folder);
    line.addAll(List.of(command));
    return Peers.succeed(line.toArray(String[]::new));
  }

  /** Runs ovs-appctl against the switch. */
  public String control(String... arguments) {
    List<String> line =
        new ArrayList<>(List.of("ovs-appctl", "-t", folder.resolve("vswitchd.ctl").toString()));
    line.addAll(List.of(arguments));
    return succeed(line.toArray(String[]::new));
  }

  public void receive(int port, String frame) {
    control("netdev-dummy/receive", "p" + port, frame);
  }

  /** The frames that a port has sent since the last call, in hexadecimal. */
  public List<String> take(int port) throws IOException {
    byte[] data = Files.readAllBytes(folder.resolve("p" + port + ".pcap"));
    ByteBuffer capture = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    if (data.length >= 4 && capture.getInt(0) == 0xd4c3b2a1) {
      capture.order(ByteOrder.BIG_ENDIAN);
    }
    int position = (int) Math.max(24, read[port]);
    List<String> frames = new ArrayList<>();
    while (data.length - position >= 16) {
      int length = capture.getInt(position + 8);
      if (data.length - position - 16 < length) {
        break;
      }
      frames.add(HexFormat.of().formatHex(data, position + 16, position + 16 + length));
      position += 16 + length;
    }
    read[port] = position;
    return frames;
  }

  @Override
  public void close() {
    for (Process process : processes.reversed()) {
      process.destroy();
      try {
        process.waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
