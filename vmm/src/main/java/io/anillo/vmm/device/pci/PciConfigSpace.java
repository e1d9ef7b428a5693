package io.anillo.vmm.device.pci;

import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * The 256 bytes of configuration space of one PCI function, with a mask of the bits that a guest
 * may write and one of those it clears by writing ones (PCI Local Bus 3.0 §6.1).
 */
public final class PciConfigSpace {
  public static final int SIZE_BYTES = 256;

  /** Offsets of the type 0 header. */
  public static final int VENDOR_ID = 0x00,
      DEVICE_ID = 0x02,
      COMMAND = 0x04,
      STATUS = 0x06,
      REVISION = 0x08,
      CLASS_CODE = 0x09,
      CACHE_LINE_SIZE = 0x0C,
      LATENCY_TIMER = 0x0D,
      HEADER_TYPE = 0x0E,
      BAR_0 = 0x10,
      SUBSYSTEM_VENDOR_ID = 0x2C,
      SUBSYSTEM_ID = 0x2E,
      CAPABILITIES = 0x34,
      INTERRUPT_LINE = 0x3C,
      INTERRUPT_PIN = 0x3D;

  /** Bits of the command register. */
  public static final int COMMAND_IO = 1,
      COMMAND_MEMORY = 2,
      COMMAND_BUS_MASTER = 4,
      COMMAND_INTERRUPT_DISABLE = 1 << 10;

  /** Bits of the status register. */
  public static final int STATUS_INTERRUPT = 1 << 3, STATUS_CAPABILITIES = 1 << 4;

  private final byte[] bytes = new byte[SIZE_BYTES];
  private final byte[] writable = new byte[SIZE_BYTES];
  private final byte[] clearedByOnes = new byte[SIZE_BYTES];

  /**
   * The value of 1, 2 or 4 bytes, little-endian, zero-extended. Bytes outside the space read as
   * zero.
   */
  public long get(int offset, int sizeBytes) {
    long value = 0;
    for (int i = sizeBytes - 1; i >= 0; i--) {
      int at = offset + i;
      value = value << 8 | (at >= 0 && at < SIZE_BYTES ? bytes[at] & 0xFF : 0);
    }
    return value;
  }

  public int getInt(int offset) {
    return (int) get(offset, 4);
  }

  public int getShort(int offset) {
    return (int) get(offset, 2);
  }

  public int getByte(int offset) {
    return (int) get(offset, 1);
  }

  /** Sets bytes as the device does, whatever the guest's masks say. */
  public void set(int offset, int sizeBytes, long value) {
    for (int i = 0; i < sizeBytes; i++) {
      bytes[offset + i] = (byte) (value >>> 8 * i);
    }
  }

  /** Lets the guest write the bits set in {@code mask}. */
  public void allowWrites(int offset, int sizeBytes, long mask) {
    for (int i = 0; i < sizeBytes; i++) {
      writable[offset + i] = (byte) (mask >>> 8 * i);
    }
  }

  /** Lets the guest clear the bits set in {@code mask} by writing ones to them. */
  public void clearByOnes(int offset, int sizeBytes, long mask) {
    for (int i = 0; i < sizeBytes; i++) {
      clearedByOnes[offset + i] = (byte) (mask >>> 8 * i);
    }
  }

  /** A guest's write; only bits it may write change. Bytes outside the space are ignored. */
  void guestWrite(int offset, int sizeBytes, long value) {
    for (int i = 0; i < sizeBytes; i++) {
      int at = offset + i;
      if (at >= 0 && at < SIZE_BYTES) {
        int written = (int) (value >>> 8 * i) & 0xFF;
        int kept = bytes[at] & ~writable[at] & ~(written & clearedByOnes[at]);
        bytes[at] = (byte) (kept | written & writable[at]);
      }
    }
  }

  void save(StateWriter out) {
    out.putBytes(bytes);
  }

  void restore(StateReader in) {
    byte[] saved = in.getBytes();
    if (saved.length != SIZE_BYTES) {
      throw new StateException("PCI configuration space of " + saved.length + " bytes; 256 belong");
    }
    for (int i = 0; i < VENDOR_ID + 4; i++) {
      if (saved[i] != bytes[i]) {
        throw new StateException(
            "the state is of another PCI device: its vendor and device id differ");
      }
    }
    System.arraycopy(saved, 0, bytes, 0, SIZE_BYTES);
  }
}
