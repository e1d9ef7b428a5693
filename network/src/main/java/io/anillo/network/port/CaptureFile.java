package io.anillo.network.port;

import io.anillo.network.dataplane.FrameTap;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.packet.Packet;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.function.Predicate;

/**
 * Writes the frames that pass a switch's ports into a pcapng file (draft-ietf-opsawg-pcapng), one
 * interface for each port, with the direction of each frame; tshark and Wireshark read it.
 */
public final class CaptureFile implements FrameTap, AutoCloseable {
  private static final int SECTION = 0x0a0d0d0a;
  private static final int INTERFACE = 1;
  private static final int PACKET = 6;
  private static final int ETHERNET = 1;

  private final OutputStream output;
  private final Predicate<SwitchPort> wanted;
  private final int snapLength;
  private final java.util.Map<Integer, Integer> interfaces = new java.util.HashMap<>();
  private long frames;
  private boolean broken;

  public CaptureFile(Path file, Predicate<SwitchPort> wanted, int snapLength) throws IOException {
    this.output = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
    this.wanted = wanted;
    this.snapLength = snapLength;
    ByteBuffer header = begin(28);
    header.putInt(SECTION).putInt(28).putInt(0x1a2b3c4d).putShort((short) 1).putShort((short) 0);
    header.putLong(-1L).putInt(28);
    output.write(header.array());
  }

  private static ByteBuffer begin(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int padded(int size) {
    return (size + 3) & ~3;
  }

  private int describe(SwitchPort port) throws IOException {
    Integer known = interfaces.get(port.number());
    if (known != null) {
      return known;
    }
    byte[] name = port.name().getBytes(java.nio.charset.StandardCharsets.UTF_8);
    int total = 20 + 4 + padded(name.length) + 8 + 4;
    ByteBuffer block = begin(total);
    block.putInt(INTERFACE).putInt(total).putShort((short) ETHERNET).putShort((short) 0);
    block.putInt(snapLength);
    block.putShort((short) 2).putShort((short) name.length).put(name);
    block.position(16 + 4 + padded(name.length));
    block.putShort((short) 9).putShort((short) 1).put((byte) 9).position(block.position() + 3);
    block.putInt(0).putInt(total);
    output.write(block.array());
    interfaces.put(port.number(), interfaces.size());
    return interfaces.size() - 1;
  }

  @Override
  public synchronized void frame(SwitchPort port, boolean entering, Packet packet) {
    if (broken || !wanted.test(port)) {
      return;
    }
    try {
      int number = describe(port);
      int captured = Math.min(snapLength, packet.length());
      int total = 32 + padded(captured) + 12;
      Instant now = Instant.now();
      long nanos = now.getEpochSecond() * 1_000_000_000L + now.getNano();
      ByteBuffer block = begin(total);
      block.putInt(PACKET).putInt(total).putInt(number);
      block.putInt((int) (nanos >>> 32)).putInt((int) nanos);
      block.putInt(captured).putInt(packet.length());
      block.put(packet.data(), packet.start(), captured);
      block.position(28 + padded(captured));
      block.putShort((short) 2).putShort((short) 4).putInt(entering ? 1 : 2);
      block.putInt(0).putInt(total);
      output.write(block.array());
      frames++;
    } catch (IOException e) {
      broken = true;
      System.getLogger(CaptureFile.class.getName())
          .log(System.Logger.Level.WARNING, "the capture stops: " + e.getMessage());
    }
  }

  public synchronized long frames() {
    return frames;
  }

  @Override
  public synchronized void close() throws IOException {
    output.close();
  }
}
