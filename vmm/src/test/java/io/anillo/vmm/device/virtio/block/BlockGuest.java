package io.anillo.vmm.device.virtio.block;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.GuestQueue.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** A guest's disk driver: makes requests and looks at their results. */
final class BlockGuest {
  /** A request and where its answer appears. */
  record Request(int head, List<Buffer> data, Buffer status) {}

  final GuestDriver driver;
  int queueIndex;

  BlockGuest(GuestDriver driver) {
    this.driver = driver;
  }

  GuestQueue queue() {
    return driver.queue(queueIndex);
  }

  Buffer header(int type, long sector) {
    return driver.buffer(
        ByteBuffer.allocate(16)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(type)
            .putInt(0)
            .putLong(sector)
            .array());
  }

  Request submit(int type, long sector, List<Buffer> out, List<Buffer> in) {
    Buffer status = driver.buffer(new byte[] {(byte) 0xEE});
    List<Buffer> readable = new ArrayList<>();
    readable.add(header(type, sector));
    readable.addAll(out);
    List<Buffer> writable = new ArrayList<>(in);
    writable.add(status);
    int head = queue().add(readable, writable);
    return new Request(head, in, status);
  }

  Request read(long sector, int bytes) {
    return submit(0, sector, List.of(), List.of(driver.room(bytes)));
  }

  Request write(long sector, byte[] data) {
    return submit(1, sector, List.of(driver.buffer(data)), List.of());
  }

  Request flush() {
    return submit(4, 0, List.of(), List.of());
  }

  static byte[] segment(long sector, int count, int flags) {
    return ByteBuffer.allocate(16)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(sector)
        .putInt(count)
        .putInt(flags)
        .array();
  }

  int status(Request request) {
    return driver.content(request.status)[0] & 0xFF;
  }

  byte[] data(Request request) {
    int total = request.data.stream().mapToInt(Buffer::length).sum();
    ByteBuffer all = ByteBuffer.allocate(total);
    for (Buffer buffer : request.data) {
      all.put(driver.content(buffer));
    }
    return all.array();
  }

  /** Rings and waits until the device has used everything; returns how many. */
  int finish() {
    queue().kick();
    driver.board.settle();
    int count = 0;
    while (queue().take() != null) {
      count++;
    }
    return count;
  }

  /** Makes one request and waits for it. */
  int run(Request request) {
    finish();
    return status(request);
  }
}
