package io.anillo.bench.network;

import io.anillo.bench.BenchException;
import io.anillo.bench.Statistics;
import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.cli.image.Progress;
import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.host.HostInterface;
import io.anillo.network.port.FrameStream;
import io.anillo.network.port.StreamWire;
import io.anillo.network.uplink.UserNetwork;
import io.anillo.network.uplink.UserNetworkConfig;
import io.anillo.vmm.port.Clock;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * How fast one guest downloads from its host through a user-mode network. The guest is the same on
 * the same engine, QEMU's translator: once behind QEMU's own network, once behind ours, which it is
 * plugged into by a stream socket, and by a TAP device, which leaves segmentation to the guest's
 * card (needs root). A last run is the same guest on Anillo's own engine.
 */
final class NatRate {
  /** Megabits a second, the median of the downloads. */
  record Rate(String name, double megabits) {}

  private static final int DOWNLOADS = 4;
  private static final String TAP = "anb" + ProcessHandle.current().pid();
  private static final int BOOT_SECONDS = 180;

  private NatRate() {}

  static Rate qemu(int mebibytes) throws IOException, InterruptedException, BenchException {
    return new Rate("QEMU guest, QEMU user network", run(qemuCommand("user,id=n0"), mebibytes));
  }

  static Rate stream(int mebibytes)
      throws IOException, InterruptedException, BenchException, FlowError {
    Path folder = Files.createTempDirectory("anillo-bench");
    Path socket = folder.resolve("stream");
    try (VirtualSwitch between = bench();
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      server.bind(UnixDomainSocketAddress.of(socket));
      Thread.ofVirtual()
          .start(() -> {
            try {
              FrameStream stream = new FrameStream(server.accept(), true);
              StreamWire.attach(between, "guest", stream, () -> {});
            } catch (IOException e) {
              System.err.println("anillo: the guest could not be plugged in: " + e.getMessage());
            }
          });
      String network = "stream,id=n0,server=off,addr.type=unix,addr.path=" + socket;
      return new Rate("QEMU guest, Anillo network, stream", run(qemuCommand(network), mebibytes));
    } finally {
      Files.deleteIfExists(socket);
      Files.deleteIfExists(folder);
    }
  }

  static Rate tap(int mebibytes)
      throws IOException, InterruptedException, BenchException, FlowError {
    execute("ip", "tuntap", "add", "dev", TAP, "mode", "tap", "vnet_hdr");
    try (VirtualSwitch between = bench()) {
      execute("ip", "link", "set", TAP, "up");
      between.attach("guest", HostInterface.packetSocket(TAP));
      String network = "tap,id=n0,ifname=" + TAP + ",script=no,downscript=no,vnet_hdr=on";
      return new Rate("QEMU guest, Anillo network, TAP", run(qemuCommand(network), mebibytes));
    } finally {
      execute("ip", "tuntap", "del", "dev", TAP, "mode", "tap");
    }
  }

  private static void execute(String... command)
      throws IOException, InterruptedException, BenchException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new BenchException(String.join(" ", command) + ": " + output.strip());
    }
  }

  /** A switch with our way out. */
  private static VirtualSwitch bench() throws FlowError {
    VirtualSwitch between = new VirtualSwitch("bench", 1, Clock.system());
    between.modify(
        FlowModification.add(0, 0, Match.ANY, Instructions.apply(new Action.Output(Ports.NORMAL))));
    between.attach("uplink", new UserNetwork(UserNetworkConfig.DEFAULT));
    return between;
  }

  static Rate alone(Path top, int mebibytes)
      throws IOException, InterruptedException, BenchException {
    DefaultGuest guest = guest();
    List<String> command =
        List.of(
            top.resolve("anillo").toString(),
            "run",
            "--kernel",
            guest.kernel().toString(),
            "--initrd",
            guest.initialRamDisk().toString(),
            "--append",
            DefaultGuest.COMMAND_LINE,
            "--network",
            "user",
            "--no-reboot");
    return new Rate("Anillo guest, Anillo network", run(command, mebibytes));
  }

  private static DefaultGuest guest() throws BenchException {
    try {
      return DefaultGuest.get(GuestCache.ofUser(), false, Progress.SILENT);
    } catch (ImageException e) {
      throw new BenchException("The default guest cannot be made: " + e.getMessage());
    }
  }

  private static List<String> qemuCommand(String network) throws BenchException {
    DefaultGuest guest = guest();
    return List.of(
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-m",
        "256",
        "-nodefaults",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
        "-kernel",
        guest.kernel().toString(),
        "-initrd",
        guest.initialRamDisk().toString(),
        "-append",
        DefaultGuest.COMMAND_LINE,
        "-netdev",
        network,
        "-device",
        "virtio-net-pci,netdev=n0");
  }

  /** Boots a guest, lets it download several times, and takes the time on the host's side. */
  private static double run(List<String> command, int mebibytes)
      throws IOException, InterruptedException, BenchException {
    LinkedBlockingQueue<Double> seconds = new LinkedBlockingQueue<>();
    try (ServerSocket server = new ServerSocket(0, 16, InetAddress.getLoopbackAddress())) {
      Thread.ofPlatform().daemon().start(() -> serve(server, mebibytes, seconds));
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      try {
        awaitShell(process.getInputStream());
        OutputStream keys = process.getOutputStream();
        String url = "http://10.0.2.2:" + server.getLocalPort() + "/";
        StringBuilder typed =
            new StringBuilder("ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0\n");
        for (int i = 0; i < DOWNLOADS; i++) {
          typed.append("wget -q -O /dev/null ").append(url).append('\n');
        }
        keys.write(typed.toString().getBytes(StandardCharsets.US_ASCII));
        keys.flush();
        List<Double> rates = new ArrayList<>();
        for (int i = 0; i < DOWNLOADS; i++) {
          Double taken = seconds.poll(BOOT_SECONDS, TimeUnit.SECONDS);
          if (taken == null) {
            throw new BenchException(
                String.join(" ", command.subList(0, 2)) + ": the guest downloads nothing.");
          }
          if (i > 0) {
            rates.add(mebibytes * 8 * 1.048576 / taken);
          }
        }
        return Statistics.median(rates);
      } finally {
        process.destroy();
        process.waitFor(10, TimeUnit.SECONDS);
      }
    }
  }

  private static void awaitShell(InputStream output) throws IOException, BenchException {
    StringBuilder printed = new StringBuilder();
    byte[] block = new byte[4096];
    while (printed.indexOf("built-in shell") < 0) {
      int count = output.read(block);
      if (count < 0) {
        throw new BenchException("The guest did not boot: " + printed.toString().strip());
      }
      printed.append(new String(block, 0, count, StandardCharsets.ISO_8859_1));
    }
    Thread.ofPlatform()
        .daemon()
        .start(() -> {
          try {
            output.transferTo(OutputStream.nullOutputStream());
          } catch (IOException e) {
            // The guest is ended while its console is still being read.
            System.getLogger(NatRate.class.getName())
                .log(System.Logger.Level.DEBUG, "the guest's console ended", e);
          }
        });
  }

  private static void serve(
      ServerSocket server, int mebibytes, LinkedBlockingQueue<Double> seconds) {
    byte[] block = new byte[1 << 16];
    while (!server.isClosed()) {
      try (Socket socket = server.accept()) {
        socket.getInputStream().read(block);
        OutputStream output = socket.getOutputStream();
        String header =
            "HTTP/1.0 200 OK\r\nContent-Length: " + ((long) mebibytes << 20) + "\r\n\r\n";
        long begin = System.nanoTime();
        output.write(header.getBytes(StandardCharsets.US_ASCII));
        for (int sent = 0; sent < mebibytes << 4; sent++) {
          output.write(block);
        }
        socket.shutdownOutput();
        while (socket.getInputStream().read(block) >= 0) {
          // The guest says no more, but closes when it has everything.
        }
        seconds.add((System.nanoTime() - begin) / 1e9);
      } catch (IOException e) {
        if (!server.isClosed()) {
          System.err.println("anillo: a download ended early: " + e.getMessage());
        }
      }
    }
  }
}
