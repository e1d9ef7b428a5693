package io.anillo.network.tenant;

import io.anillo.network.dataplane.PortWire;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.packet.Bytes;
import io.anillo.network.packet.InternetChecksum;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/** A small host: it answers pings and TCP connections to its open ports, and remembers all. */
final class TestGuest implements PortWire {
  private static final int IP = 14;
  private static final int TRANSPORT = 34;

  final LogicalPort port;
  final LogicalSwitch owner;
  final Set<Integer> open = new HashSet<>();
  private final List<byte[]> received = new ArrayList<>();
  private VirtualSwitch plugged;
  private SwitchPort real;

  TestGuest(LogicalPort port, LogicalSwitch owner) {
    this.port = port;
    this.owner = owner;
  }

  void plug(VirtualSwitch into) {
    plugged = into;
    real = into.addPort(port.realName(), this);
  }

  void unplug() {
    plugged.removePort(real);
  }

  @Override
  public boolean transmit(NetworkFrame frame) {
    byte[] bytes =
        Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length());
    synchronized (this) {
      received.add(bytes);
    }
    byte[] answer = answer(bytes);
    if (answer.length > 0) {
      Thread.ofVirtual().start(() -> send(answer));
    }
    return true;
  }

  private byte[] answer(byte[] frame) {
    boolean mine =
        Bytes.getShort(frame, 12) == FlowCompiler.IPV4
            && Bytes.getInt(frame, IP + 16) == port.address()
            && Bytes.getAddress(frame, 0) == port.ethernet();
    if (!mine) {
      return new byte[0];
    }
    byte[] answer = frame.clone();
    Bytes.putAddress(answer, 0, Bytes.getAddress(frame, 6));
    Bytes.putAddress(answer, 6, port.ethernet());
    Bytes.putInt(answer, IP + 12, port.address());
    Bytes.putInt(answer, IP + 16, Bytes.getInt(frame, IP + 12));
    if (frame[IP + 9] == 1 && frame[TRANSPORT] == 8) {
      answer[TRANSPORT] = 0;
      Bytes.putShort(answer, TRANSPORT + 2, 0);
      Bytes.putShort(
          answer,
          TRANSPORT + 2,
          InternetChecksum.of(answer, TRANSPORT, Bytes.getShort(frame, IP + 2) - 20));
      return answer;
    }
    boolean opening = frame[IP + 9] == 6 && (frame[TRANSPORT + 13] & 0x12) == 2;
    if (!opening || !open.contains(Bytes.getShort(frame, TRANSPORT + 2))) {
      return new byte[0];
    }
    FrameBuilder.Side self =
        new FrameBuilder.Side(port.ethernet(), port.address(), Bytes.getShort(frame, 36));
    FrameBuilder.Side other =
        new FrameBuilder.Side(
            Bytes.getAddress(frame, 6), Bytes.getInt(frame, 26), Bytes.getShort(frame, 34));
    byte[] accepted = FrameBuilder.tcp(self, other, 1, 0x12);
    Bytes.putInt(accepted, TRANSPORT + 8, Bytes.getInt(frame, TRANSPORT + 4) + 1);
    Bytes.putShort(accepted, TRANSPORT + 16, 0);
    long sum = InternetChecksum.pseudo4(accepted, IP, 6, 20);
    Bytes.putShort(
        accepted,
        TRANSPORT + 16,
        InternetChecksum.complete(InternetChecksum.add(sum, accepted, TRANSPORT, 20)));
    return accepted;
  }

  void send(byte[] frame) {
    plugged.receive(real, NetworkFrame.of(frame));
  }

  synchronized List<byte[]> take() {
    List<byte[]> taken = List.copyOf(received);
    received.clear();
    return taken;
  }

  private synchronized boolean has(Predicate<byte[]> wanted) {
    return received.stream().anyMatch(wanted);
  }

  private boolean waitFor(Predicate<byte[]> wanted) {
    try {
      for (int i = 0; i < 40; i++) {
        if (has(wanted)) {
          return true;
        }
        Thread.sleep(10);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return false;
  }

  /** The Ethernet address that answers for an address, 0 when none does. */
  long resolve(int address) {
    take();
    send(FrameBuilder.arpRequest(port.ethernet(), port.address(), address));
    Predicate<byte[]> answer =
        f -> Bytes.getShort(f, 12) == 0x0806 && f[21] == 2 && Bytes.getInt(f, 28) == address;
    if (!waitFor(answer)) {
      return 0;
    }
    return take().stream()
        .filter(answer)
        .mapToLong(f -> Bytes.getAddress(f, 22))
        .findFirst()
        .orElse(0);
  }

  private long nextHop(int address) {
    return resolve(owner.network().contains(address) ? address : owner.gateway());
  }

  /** Whether a ping is answered. */
  boolean ping(int address) {
    long ethernet = nextHop(address);
    if (ethernet == 0) {
      return false;
    }
    take();
    byte[] frame =
        FrameBuilder.udp(
            new FrameBuilder.Side(port.ethernet(), port.address(), 0),
            new FrameBuilder.Side(ethernet, address, 0),
            new byte[20]);
    frame[IP + 9] = 1;
    Bytes.putShort(frame, IP + 10, 0);
    Bytes.putShort(frame, IP + 10, InternetChecksum.of(frame, IP, 20));
    Bytes.putInt(frame, TRANSPORT, 8 << 24);
    Bytes.putInt(frame, TRANSPORT + 4, 0x77 << 16 | 1);
    Bytes.putShort(frame, TRANSPORT + 2, InternetChecksum.of(frame, TRANSPORT, 28));
    send(frame);
    return waitFor(f ->
        Bytes.getShort(f, 12) == FlowCompiler.IPV4
            && f[IP + 9] == 1
            && f[TRANSPORT] == 0
            && Bytes.getInt(f, TRANSPORT + 4) == (0x77 << 16 | 1)
            && Bytes.getInt(f, IP + 12) == address
            && Bytes.getAddress(f, 0) == port.ethernet()
            && InternetChecksum.of(f, TRANSPORT, 28) == 0);
  }

  /** Whether a TCP connection is accepted. */
  boolean connect(int address, int to, int from) {
    long ethernet = nextHop(address);
    if (ethernet == 0) {
      return false;
    }
    take();
    send(
        FrameBuilder.tcp(
            new FrameBuilder.Side(port.ethernet(), port.address(), from),
            new FrameBuilder.Side(ethernet, address, to),
            1000,
            FrameBuilder.SYN));
    return waitFor(f ->
        Bytes.getShort(f, 12) == FlowCompiler.IPV4
            && f[IP + 9] == 6
            && (f[TRANSPORT + 13] & 0x12) == 0x12
            && Bytes.getInt(f, IP + 12) == address
            && Bytes.getShort(f, TRANSPORT) == to
            && Bytes.getShort(f, TRANSPORT + 2) == from);
  }

  /** The payload of the UDP answer to a question, empty when none comes. */
  byte[] ask(int address, long ethernet, int from, int to, byte[] question) {
    take();
    send(
        FrameBuilder.udp(
            new FrameBuilder.Side(port.ethernet(), to == 67 ? 0 : port.address(), from),
            new FrameBuilder.Side(ethernet, address, to),
            question));
    Predicate<byte[]> answer =
        f ->
            Bytes.getShort(f, 12) == FlowCompiler.IPV4
                && f[IP + 9] == 17
                && Bytes.getShort(f, TRANSPORT) == to;
    if (!waitFor(answer)) {
      return new byte[0];
    }
    byte[] frame = take().stream().filter(answer).findFirst().orElseThrow();
    return Arrays.copyOfRange(frame, 42, TRANSPORT + Bytes.getShort(frame, 38));
  }

  /** How many TCP openings have arrived for a port since the last call of {@link #take}. */
  synchronized long openings(int to) {
    return received.stream()
        .filter(f ->
            Bytes.getShort(f, 12) == FlowCompiler.IPV4
                && f[IP + 9] == 6
                && (f[TRANSPORT + 13] & 0x12) == 2
                && Bytes.getShort(f, TRANSPORT + 2) == to
                && Bytes.getShort(f, TRANSPORT) != PortCompiler.PROBE_PORT)
        .count();
  }

  @Override
  public void close() {}
}
