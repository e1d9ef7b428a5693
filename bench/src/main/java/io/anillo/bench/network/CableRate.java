package io.anillo.bench.network;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.host.HostInterface;
import io.anillo.vmm.port.Clock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Two network namespaces joined by our switch and by Open vSwitch's user-space datapath, both
 * through packet sockets on the same veth pairs: TCP throughput, small datagrams a second, and the
 * round trip. The first seconds, in which a JVM compiles, count for neither. Needs root.
 */
final class CableRate {
  /** Gigabits of TCP a second, received datagrams of 64 bytes a second, and the mean round trip. */
  record Rate(double gigabits, double datagrams, double roundTripMicros) {}

  private CableRate() {}

  static Rate ours() throws IOException, InterruptedException, FlowError {
    build();
    try (VirtualSwitch subject = new VirtualSwitch("bench", 1, Clock.system())) {
      subject.attach("v1", HostInterface.packetSocket("anbv1"));
      subject.attach("v2", HostInterface.packetSocket("anbv2"));
      subject.modify(
          FlowModification.add(
              0, 0, Match.ANY, Instructions.apply(new Action.Output(Ports.NORMAL))));
      return measure();
    } finally {
      tearDown();
    }
  }

  static Rate peer() throws IOException, InterruptedException {
    build();
    Path folder = Files.createTempDirectory("anillo-bench");
    List<Process> processes = new ArrayList<>();
    try {
      String database = folder.resolve("conf.db").toString();
      String socket = folder.resolve("db.sock").toString();
      run(folder, "ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema");
      processes.add(start(folder, "ovsdb-server", database, "--remote=punix:" + socket));
      Thread.sleep(500);
      run(folder, "ovs-vsctl", "--no-wait", "init");
      processes.add(
          start(
              folder,
              "ovs-vswitchd",
              "unix:" + socket,
              "--disable-system",
              "--log-file=" + folder.resolve("log")));
      run(
          folder,
          "ovs-vsctl",
          "--timeout=20",
          "add-br",
          "anb0",
          "--",
          "set",
          "bridge",
          "anb0",
          "datapath_type=netdev");
      run(folder, "ovs-vsctl", "--timeout=20", "add-port", "anb0", "anbv1");
      run(folder, "ovs-vsctl", "--timeout=20", "add-port", "anb0", "anbv2");
      return measure();
    } finally {
      for (Process process : processes.reversed()) {
        process.destroy();
        process.waitFor(5, TimeUnit.SECONDS);
      }
      tearDown();
    }
  }

  private static void build() throws IOException, InterruptedException {
    tearDown();
    for (int i = 1; i <= 2; i++) {
      run("ip", "netns", "add", "anb" + i);
      run(
          "ip",
          "link",
          "add",
          "anbv" + i,
          "type",
          "veth",
          "peer",
          "name",
          "eth0",
          "netns",
          "anb" + i);
      run("ip", "link", "set", "anbv" + i, "up");
      run(
          "ip",
          "netns",
          "exec",
          "anb" + i,
          "ip",
          "addr",
          "add",
          "10.98.0." + i + "/24",
          "dev",
          "eth0");
      run("ip", "netns", "exec", "anb" + i, "ip", "link", "set", "eth0", "up");
      // Open vSwitch's user-space datapath cannot complete checksums or segments; both get plain
      // frames.
      run(
          "ip", "netns", "exec", "anb" + i, "ethtool", "-K", "eth0", "tx", "off", "tso", "off",
          "gso", "off");
    }
  }

  private static void tearDown() throws IOException, InterruptedException {
    for (int i = 1; i <= 2; i++) {
      execute(Path.of("/tmp"), 10, "ip", "link", "del", "anbv" + i);
      execute(Path.of("/tmp"), 10, "ip", "netns", "del", "anb" + i);
    }
    Thread.sleep(500);
  }

  private static Rate measure() throws IOException, InterruptedException {
    for (int i = 0; i < 20; i++) {
      String ping =
          execute(Path.of("/tmp"), 10, inside(1, "ping", "-c", "1", "-W", "1", "10.98.0.2"));
      if (ping.contains("1 received")) {
        break;
      }
    }
    Process server = start(Path.of("/tmp"), inside(2, "iperf3", "-s"));
    try {
      Thread.sleep(700);
      String tcp =
          execute(
              Path.of("/tmp"),
              30,
              inside(1, "iperf3", "-c", "10.98.0.2", "-O", "3", "-t", "4", "-f", "m"));
      String udp =
          execute(
              Path.of("/tmp"),
              30,
              inside(1, "iperf3", "-c", "10.98.0.2", "-u", "-b", "0", "-l", "64", "-t", "3", "-J"));
      String ping =
          execute(
              Path.of("/tmp"),
              30,
              inside(1, "ping", "-c", "1000", "-i", "0.002", "-q", "10.98.0.2"));
      double megabits = find(tcp, "([0-9.]+) Mbits/sec\\s+receiver");
      double seconds = find(udp, "\"sum\":\\s*\\{[^}]*\"seconds\":\\s*([0-9.]+)");
      double packets = find(udp, "\"sum\":\\s*\\{[^}]*\"packets\":\\s*([0-9]+)");
      double lost = find(udp, "\"sum\":\\s*\\{[^}]*\"lost_packets\":\\s*([0-9]+)");
      if (lost > packets) {
        throw new IOException(
            "iperf3 counts %.0f of %.0f datagrams as lost.".formatted(lost, packets));
      }
      double millis = find(ping, "= [0-9.]+/([0-9.]+)/");
      return new Rate(megabits / 1000, (packets - lost) / seconds, millis * 1000);
    } finally {
      server.destroy();
      server.waitFor(5, TimeUnit.SECONDS);
    }
  }

  private static double find(String text, String pattern) {
    Matcher matcher = Pattern.compile(pattern, Pattern.DOTALL).matcher(text);
    double value = Double.NaN;
    while (matcher.find()) {
      value = Double.parseDouble(matcher.group(1));
    }
    return value;
  }

  private static String[] inside(int namespace, String... command) {
    List<String> line = new ArrayList<>(List.of("ip", "netns", "exec", "anb" + namespace));
    line.addAll(List.of(command));
    return line.toArray(String[]::new);
  }

  private static void run(String... command) throws IOException, InterruptedException {
    execute(Path.of("/tmp"), 20, command);
  }

  private static void run(Path folder, String... command) throws IOException, InterruptedException {
    execute(folder, 30, command);
  }

  private static Process start(Path folder, String... command) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("OVS_RUNDIR", folder.toString());
    return builder.start();
  }

  private static String execute(Path folder, int seconds, String... command)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("OVS_RUNDIR", folder.toString());
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes());
    if (!process.waitFor(seconds, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    return output;
  }
}
