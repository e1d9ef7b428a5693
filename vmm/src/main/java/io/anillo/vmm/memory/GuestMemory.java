package io.anillo.vmm.memory;

import io.anillo.vmm.host.HostMemory;
import jdk.internal.misc.Unsafe;

/**
 * All guest memory (RAM, ROM, video memory) in one reserved range whose offsets are guest-physical
 * addresses.
 *
 * <p>This is the one audited class that touches raw memory. Every access is bounded by
 * construction: the offset is masked into the range, whose size is a power of two, and a guard page
 * of ordinary memory behind the range takes the tail of an access at its very end. Whatever offset
 * a guest, a device or a bug produces, it lands inside the range.
 *
 * <p>What is RAM, ROM or nothing is kept per page in {@link #attributes}; the accessors here do not
 * look at it. Callers that must respect it (page walks, DMA) use the checked methods {@link #isRam}
 * and {@link #dmaRead}/{@link #dmaWrite}.
 *
 * <p>Hot class: the {@code get}/{@code put} methods are inlined into the interpreter and translated
 * code; watched by {@code ./anillo bench guest}.
 */
public final class GuestMemory implements AutoCloseable {
  public static final int PAGE_SHIFT = 12;
  public static final int PAGE_BYTES = 1 << PAGE_SHIFT;

  /**
   * The hole below 4 GiB where devices are mapped begins here: RAM beyond 3 GiB continues at 4 GiB.
   */
  public static final long HOLE_START = 3L << 30;

  public static final long FOUR_GIB = 4L << 30;

  /** Page attributes. */
  public static final byte RAM = 1, ROM = 2, CODE = 4, DIRTY_LOGGED = 8;

  private static final Unsafe UNSAFE = Unsafe.getUnsafe();

  private final HostMemory host;
  private final long base;
  private final long mask;
  private final long ramBytes;
  private final byte[] attributes;
  private WriteListener listener = page -> {};

  /** Told of writes by devices to pages that have {@link #CODE} or {@link #DIRTY_LOGGED} set. */
  @FunctionalInterface
  public interface WriteListener {
    /**
     * @param address guest-physical address of the page
     */
    void written(long address);
  }

  /**
   * Reserves memory for a machine.
   *
   * @param ramBytes size of RAM, a multiple of the page size
   */
  public GuestMemory(long ramBytes) {
    if (ramBytes <= 0 || (ramBytes & (PAGE_BYTES - 1)) != 0) {
      throw new IllegalArgumentException(
          "RAM size " + ramBytes + " is not a positive multiple of 4096");
    }
    this.ramBytes = ramBytes;
    long top = ramBytes <= HOLE_START ? FOUR_GIB : FOUR_GIB + (ramBytes - HOLE_START);
    long range = Long.highestOneBit(top - 1) << 1;
    this.host = HostMemory.reserve(range + PAGE_BYTES);
    this.base = host.address();
    this.mask = range - 1;
    this.attributes = new byte[(int) (range >>> PAGE_SHIFT)];
    setAttributes(0, Math.min(ramBytes, HOLE_START), RAM);
    if (ramBytes > HOLE_START) {
      setAttributes(FOUR_GIB, ramBytes - HOLE_START, RAM);
    }
  }

  public long ramBytes() {
    return ramBytes;
  }

  /** Size of the range in bytes, a power of two; offsets are masked to it. */
  public long rangeBytes() {
    return mask + 1;
  }

  /** The range in this process, for the engine that maps it into a hardware virtual machine. */
  public long hostAddress() {
    return base;
  }

  public void setWriteListener(WriteListener newListener) {
    this.listener = newListener;
  }

  // ---- attributes
  // -------------------------------------------------------------------------------------------------

  /** The attributes of the page at a guest-physical address; 0 beyond the range. */
  public int attributes(long address) {
    long page = address >>> PAGE_SHIFT;
    return page < attributes.length ? attributes[(int) page] : 0;
  }

  public boolean isRam(long address) {
    return (attributes(address) & RAM) != 0;
  }

  /** Replaces the attributes of a page-aligned range. */
  public void setAttributes(long address, long length, byte value) {
    for (long page = address >>> PAGE_SHIFT; page < (address + length) >>> PAGE_SHIFT; page++) {
      attributes[(int) page] = value;
    }
  }

  /** Sets bits in the attributes of one page. */
  public void addAttribute(long address, byte bit) {
    attributes[(int) (address >>> PAGE_SHIFT)] |= bit;
  }

  /** Clears bits in the attributes of one page. */
  public void removeAttribute(long address, byte bit) {
    attributes[(int) (address >>> PAGE_SHIFT)] &= (byte) ~bit;
  }

  // ---- raw access, bounded by the mask
  // ------------------------------------------------------------------------------

  public byte getByte(long offset) {
    return UNSAFE.getByte(base + (offset & mask));
  }

  public short getShort(long offset) {
    return UNSAFE.getShort(base + (offset & mask));
  }

  public int getInt(long offset) {
    return UNSAFE.getInt(base + (offset & mask));
  }

  public long getLong(long offset) {
    return UNSAFE.getLong(base + (offset & mask));
  }

  public void putByte(long offset, byte value) {
    UNSAFE.putByte(base + (offset & mask), value);
  }

  public void putShort(long offset, short value) {
    UNSAFE.putShort(base + (offset & mask), value);
  }

  public void putInt(long offset, int value) {
    UNSAFE.putInt(base + (offset & mask), value);
  }

  public void putLong(long offset, long value) {
    UNSAFE.putLong(base + (offset & mask), value);
  }

  /** Compare-and-set of an aligned 32-bit word; the two low bits of the offset are ignored. */
  public boolean compareAndSetInt(long offset, int expected, int value) {
    return UNSAFE.compareAndSetInt(null, base + (offset & mask & ~3L), expected, value);
  }

  /** Compare-and-set of an aligned 64-bit word; the three low bits of the offset are ignored. */
  public boolean compareAndSetLong(long offset, long expected, long value) {
    return UNSAFE.compareAndSetLong(null, base + (offset & mask & ~7L), expected, value);
  }

  /** Copies inside the range. Neither end may pass the range's end; a longer copy is cut there. */
  public void copy(long from, long to, long length) {
    long source = from & mask;
    long destination = to & mask;
    long bounded = Math.min(length, mask + 1 - Math.max(source, destination));
    if (bounded > 0) {
      UNSAFE.copyMemory(base + source, base + destination, bounded);
    }
  }

  /** Fills a part of the range, cut at its end. */
  public void fill(long offset, long length, byte value) {
    long start = offset & mask;
    long bounded = Math.min(length, mask + 1 - start);
    if (bounded > 0) {
      UNSAFE.setMemory(base + start, bounded, value);
    }
  }

  /** Reads bytes, cut at the end of the range. */
  public void read(long offset, byte[] destination, int at, int length) {
    java.util.Objects.checkFromIndexSize(at, length, destination.length);
    long start = offset & mask;
    long bounded = Math.min(length, mask + 1 - start);
    UNSAFE.copyMemory(null, base + start, destination, Unsafe.ARRAY_BYTE_BASE_OFFSET + at, bounded);
  }

  /**
   * Writes bytes, cut at the end of the range. Tells nobody: for loaders, before the machine runs.
   */
  public void write(long offset, byte[] source, int at, int length) {
    java.util.Objects.checkFromIndexSize(at, length, source.length);
    long start = offset & mask;
    long bounded = Math.min(length, mask + 1 - start);
    UNSAFE.copyMemory(source, Unsafe.ARRAY_BYTE_BASE_OFFSET + at, null, base + start, bounded);
  }

  // ---- giving back

  /**
   * Gives pages back to the host, where it takes them; they read as zeros afterwards. On the board.
   *
   * @param address page-aligned, in RAM
   * @param length in bytes, a multiple of the page size
   */
  public void release(long address, long length) {
    if (((address | length) & PAGE_BYTES - 1) != 0 || !isRam(address, length)) {
      throw new IllegalArgumentException(
          "no pages of RAM: %d bytes at 0x%x".formatted(length, address));
    }
    if (!host.giveBack(address, length)) {
      fill(address, length, (byte) 0);
    }
    announceWrite(address, length);
  }

  // ---- DMA
  // ----------------------------------------------------------------------------------------------------------

  /** Whether every byte of the range is RAM. False for negative or overflowing ranges. */
  public boolean isRam(long address, long length) {
    if (address < 0 || length < 0 || address + length < address) {
      return false;
    }
    for (long page = address >>> PAGE_SHIFT;
        page <= (address + Math.max(length, 1) - 1) >>> PAGE_SHIFT;
        page++) {
      if (page >= attributes.length || (attributes[(int) page] & RAM) == 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Reads guest memory for a device.
   *
   * @return false, with nothing read, when a byte of the range is not RAM
   */
  public boolean dmaRead(long address, byte[] destination, int at, int length) {
    if (!isRam(address, length)) {
      return false;
    }
    read(address, destination, at, length);
    return true;
  }

  /**
   * Writes guest memory for a device, on the board; code that lay there is dropped from every
   * cache.
   *
   * @return false, with nothing written, when a byte of the range is not RAM
   */
  public boolean dmaWrite(long address, byte[] source, int at, int length) {
    if (!isRam(address, length)) {
      return false;
    }
    write(address, source, at, length);
    announceWrite(address, length);
    return true;
  }

  /** Tells the listener of a write made through the raw accessors by the board. */
  public void announceWrite(long address, long length) {
    if (length <= 0) {
      return;
    }
    for (long page = address >>> PAGE_SHIFT;
        page <= (address + length - 1) >>> PAGE_SHIFT;
        page++) {
      if (page < attributes.length && (attributes[(int) page] & (CODE | DIRTY_LOGGED)) != 0) {
        listener.written(page << PAGE_SHIFT);
      }
    }
  }

  @Override
  public void close() {
    host.release();
  }
}
