package io.anillo.network.host;

import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * A Linux interface as a network backend: a TAP device of our making, or a packet socket on one
 * that exists. Frames carry the kernel's virtio-net header, so that checksums and segmentation stay
 * offloaded in both directions.
 */
public final class HostInterface implements NetworkBackend {
  private static final int HEADER = ArrivedFrames.HEADER;
  private static final int MAXIMUM = HEADER + 65_535 + 14 + 8;
  private static final int POLL_MILLIS = 250;

  /** What may wait for a socket's reader: the kernel doubles it, which is some 900 full frames. */
  private static final int RECEIVE_BYTES = 1 << 20;

  private static final int NON_BLOCKING = 0x800;
  private static final int CLOSE_ON_EXEC = 0x80000;
  private static final long SET_INTERFACE = 0x400454caL;
  private static final long SET_OFFLOAD = 0x400454d0L;
  private static final int TAP_WITH_HEADER = 0x0002 | 0x1000 | 0x4000;

  private final String name;
  private final int descriptor;
  private final boolean isSocket;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment outgoing = arena.allocate(MAXIMUM);
  private final MemorySegment outgoingState = NativeCalls.newState(arena);
  private volatile boolean closed;
  private @Nullable Thread reader;

  private HostInterface(String name, int descriptor, boolean isSocket) {
    this.name = name;
    this.descriptor = descriptor;
    this.isSocket = isSocket;
  }

  /**
   * Creates a TAP device; {@code name} may hold {@code %d} for the kernel to number.
   *
   * @throws IOException with one clear sentence when the host does not let us
   */
  public static HostInterface tap(String name) throws IOException {
    checkName(name);
    int descriptor = NativeCalls.open("/dev/net/tun", 2 | NON_BLOCKING | CLOSE_ON_EXEC);
    try (Arena local = Arena.ofConfined()) {
      MemorySegment request = local.allocate(40);
      request.setString(0, name);
      request.set(ValueLayout.JAVA_SHORT, 16, (short) TAP_WITH_HEADER);
      NativeCalls.ioctl(
          "cannot create TAP device " + name, descriptor, SET_INTERFACE, request.address());
      NativeCalls.ioctl("cannot set offloads of " + name, descriptor, SET_OFFLOAD, 1 | 2 | 4);
      return new HostInterface(request.getString(0), descriptor, false);
    } catch (IOException e) {
      NativeCalls.close(descriptor);
      throw e;
    }
  }

  /** Opens a packet socket on an existing interface; the host's own stack goes on using it. */
  public static HostInterface packetSocket(String name) throws IOException {
    checkName(name);
    int index = NativeCalls.interfaceIndex(name);
    int descriptor = NativeCalls.socket(17, 3 | CLOSE_ON_EXEC, 0);
    try (Arena local = Arena.ofConfined()) {
      NativeCalls.setOption(descriptor, 263, 15, 1); // PACKET_VNET_HDR
      NativeCalls.setOption(descriptor, 263, 23, 1); // PACKET_IGNORE_OUTGOING
      NativeCalls.setReceiveTimeout(descriptor, POLL_MILLIS);
      NativeCalls.tryOption(descriptor, 1, 33, RECEIVE_BYTES); // SO_RCVBUFFORCE
      MemorySegment address = local.allocate(20);
      address.set(ValueLayout.JAVA_SHORT, 0, (short) 17);
      address.set(ValueLayout.JAVA_SHORT, 2, Short.reverseBytes((short) 3));
      address.set(ValueLayout.JAVA_INT, 4, index);
      NativeCalls.bind(descriptor, address);
      MemorySegment membership = local.allocate(16);
      membership.set(ValueLayout.JAVA_INT, 0, index);
      membership.set(ValueLayout.JAVA_SHORT, 4, (short) 1);
      NativeCalls.setMembership(descriptor, membership);
      return new HostInterface(name, descriptor, true);
    } catch (IOException e) {
      NativeCalls.close(descriptor);
      throw e;
    }
  }

  private static void checkName(String name) throws IOException {
    if (!name.matches("[A-Za-z0-9._%-]{1,15}")) {
      throw new IOException("\"" + name + "\" is not an interface's name");
    }
  }

  public String name() {
    return name;
  }

  @Override
  public Offloads offloads() {
    return new Offloads(true, true, true);
  }

  @Override
  public void start(Receiver receiver) {
    Runnable reading = isSocket ? () -> readSocket(receiver) : () -> readDevice(receiver);
    Thread thread = new Thread(reading, "interface " + name);
    thread.setDaemon(true);
    reader = thread;
    thread.start();
  }

  /** Takes frames from a device until none is there, and hands them on. */
  private void readDevice(Receiver receiver) {
    try (Arena local = Arena.ofConfined()) {
      MemorySegment state = NativeCalls.newState(local);
      MemorySegment buffer = local.allocate(MAXIMUM);
      MemorySegment poll = local.allocate(8);
      poll.set(ValueLayout.JAVA_INT, 0, descriptor);
      poll.set(ValueLayout.JAVA_SHORT, 4, (short) 1);
      ArrivedFrames arrived = new ArrivedFrames(receiver, SocketBurst.FRAMES, MAXIMUM);
      while (!closed) {
        int count = NativeCalls.read(state, descriptor, buffer);
        if (count > 0) {
          arrived.add(buffer, count);
        }
        if (count <= 0 || arrived.full()) {
          arrived.handOn();
        }
        if (count == NativeCalls.WOULD_BLOCK) {
          NativeCalls.poll(state, poll, POLL_MILLIS);
        } else if (count < 0) {
          // The interface is down for now.
          pause();
        }
      }
    }
  }

  /** Takes frames from a socket, as many at a time as have come. */
  private void readSocket(Receiver receiver) {
    try (SocketBurst burst = new SocketBurst(descriptor, MAXIMUM)) {
      ArrivedFrames arrived = new ArrivedFrames(receiver, SocketBurst.FRAMES, MAXIMUM);
      while (!closed) {
        int count = burst.receive();
        if (count < 0 && count != NativeCalls.WOULD_BLOCK) {
          // The interface is down for now.
          pause();
        }
        for (int i = 0; i < count; i++) {
          arrived.add(burst.frame(i), burst.length(i));
        }
        arrived.handOn();
      }
    }
  }

  private static void pause() {
    try {
      Thread.sleep(20);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void send(NetworkFrame frame) {
    int length = frame.length();
    if (length > MAXIMUM - HEADER) {
      return;
    }
    synchronized (this) {
      if (closed) {
        return;
      }
      outgoing.set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0L);
      outgoing.set(ValueLayout.JAVA_SHORT_UNALIGNED, 8, (short) 0);
      if (frame.checksumStart() >= 0) {
        outgoing.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
        outgoing.set(ValueLayout.JAVA_SHORT_UNALIGNED, 6, (short) frame.checksumStart());
        outgoing.set(ValueLayout.JAVA_SHORT_UNALIGNED, 8, (short) frame.checksumOffset());
      }
      int kind =
          switch (frame.segmentation()) {
            case NONE -> 0;
            case TCP4 -> 1;
            case TCP6 -> 4;
            case UDP -> 3;
          };
      if (kind != 0) {
        outgoing.set(ValueLayout.JAVA_BYTE, 1, (byte) kind);
        outgoing.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2, (short) (frame.checksumStart() + 20));
        outgoing.set(ValueLayout.JAVA_SHORT_UNALIGNED, 4, (short) frame.segmentBytes());
      }
      MemorySegment.copy(
          frame.data(), frame.offset(), outgoing, ValueLayout.JAVA_BYTE, HEADER, length);
      // What the kernel does not take at once is lost, as on any cable.
      if (isSocket) {
        NativeCalls.send(outgoingState, descriptor, outgoing, HEADER + length);
      } else {
        NativeCalls.write(outgoingState, descriptor, outgoing, HEADER + length);
      }
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    Thread thread = reader;
    if (thread != null) {
      try {
        thread.join(2L * POLL_MILLIS + 500);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    NativeCalls.close(descriptor);
    synchronized (this) {
      arena.close();
    }
  }
}
