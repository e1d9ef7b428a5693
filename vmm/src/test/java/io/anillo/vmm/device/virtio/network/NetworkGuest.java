package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A guest's network driver. */
final class NetworkGuest {
  final GuestDriver driver;
  private final Map<Integer, Map<Integer, GuestQueue.Buffer>> rooms = new HashMap<>();

  NetworkGuest(GuestDriver driver) {
    this.driver = driver;
  }

  /** Offers receive buffers. */
  void offer(int queue, int count, int bytes) {
    for (int i = 0; i < count; i++) {
      GuestQueue.Buffer room = driver.room(bytes);
      int head = driver.queue(queue).add(List.of(), List.of(room));
      rooms.computeIfAbsent(queue, key -> new HashMap<>()).put(head, room);
    }
    driver.queue(queue).kick();
  }

  void takeRoomsOf(NetworkGuest other) {
    rooms.putAll(other.rooms);
  }

  /** Takes received packets, each with its header, buffers joined. */
  List<byte[]> received(int queue) {
    List<byte[]> packets = new ArrayList<>();
    while (true) {
      GuestQueue.Used used = driver.queue(queue).take();
      if (used == null) {
        return packets;
      }
      ByteArrayOutputStream packet = new ByteArrayOutputStream();
      int buffers = 0;
      int wanted = 1;
      while (true) {
        GuestQueue.Buffer room =
            Objects.requireNonNull(Objects.requireNonNull(rooms.get(queue)).remove(used.head()));
        packet.write(driver.content(room), 0, used.writtenBytes());
        if (buffers++ == 0) {
          wanted = packet.toByteArray()[10] & 0xFF | (packet.toByteArray()[11] & 0xFF) << 8;
        }
        if (buffers == wanted) {
          break;
        }
        used = Objects.requireNonNull(driver.queue(queue).take());
      }
      packets.add(packet.toByteArray());
    }
  }

  /** Sends a frame behind a header with these fields. */
  void send(byte[] frame, int flags, int gsoType, int gsoSize, int start, int offset) {
    byte[] header =
        ByteBuffer.allocate(12)
            .order(ByteOrder.LITTLE_ENDIAN)
            .put((byte) flags)
            .put((byte) gsoType)
            .putShort((short) 54)
            .putShort((short) gsoSize)
            .putShort((short) start)
            .putShort((short) offset)
            .array();
    driver.queue(1).add(List.of(driver.buffer(header), driver.buffer(frame)), List.of());
    driver.queue(1).kick();
    if (driver.queue(1).take() == null) {
      throw new AssertionError("the frame was not taken");
    }
  }

  void send(byte[] frame) {
    send(frame, 0, 0, 0, 0, 0);
  }

  /** Runs a control command; returns the answer. */
  int control(int queue, int commandClass, int command, byte[] data) {
    GuestQueue.Buffer answer = driver.buffer(new byte[] {77});
    driver
        .queue(queue)
        .add(
            List.of(
                driver.buffer(new byte[] {(byte) commandClass, (byte) command}),
                driver.buffer(data)),
            List.of(answer));
    driver.queue(queue).kick();
    if (driver.queue(queue).take() == null) {
      throw new AssertionError("the command was not taken");
    }
    return driver.content(answer)[0];
  }
}
