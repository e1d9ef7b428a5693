package io.anillo.vmm.device.virtio.block;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** The segments of discard and write-zeroes requests: sector, count, flags (virtio 1.2 §5.2.6). */
final class BlockSegments {
  static final int SEGMENT_BYTES = 16;

  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INTS =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final int FLAG_UNMAP = 1;

  private BlockSegments() {}

  static long offset(byte[] segments, int at) {
    return (long) LONGS.get(segments, at) * VirtioBlockDevice.SECTOR_BYTES;
  }

  static long lengthBytes(byte[] segments, int at) {
    return ((int) INTS.get(segments, at + 8) & 0xFFFF_FFFFL) * VirtioBlockDevice.SECTOR_BYTES;
  }

  static boolean mayUnmap(byte[] segments, int at) {
    return ((int) INTS.get(segments, at + 12) & FLAG_UNMAP) != 0;
  }

  /**
   * Judges the segments before anything is done (§5.2.6.2).
   *
   * @return the status to answer with; OK when all may be executed
   */
  static int check(byte[] segments, boolean discard, long capacitySectors) {
    for (int at = 0; at < segments.length; at += SEGMENT_BYTES) {
      int flags = (int) INTS.get(segments, at + 12);
      if ((flags & ~FLAG_UNMAP) != 0 || (discard && flags != 0)) {
        return VirtioBlockDevice.STATUS_UNSUPPORTED;
      }
      long sector = (long) LONGS.get(segments, at);
      long count = (int) INTS.get(segments, at + 8) & 0xFFFF_FFFFL;
      if (count > VirtioBlockDevice.MAXIMUM_SEGMENT_SECTORS
          || sector < 0
          || sector > capacitySectors
          || count > capacitySectors - sector) {
        return VirtioBlockDevice.STATUS_ERROR;
      }
    }
    return VirtioBlockDevice.STATUS_OK;
  }
}
