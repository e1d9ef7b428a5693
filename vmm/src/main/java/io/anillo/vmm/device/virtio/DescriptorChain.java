package io.anillo.vmm.device.virtio;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.Arrays;

/**
 * The buffers of one request, as the driver described them: first those the device reads, then
 * those it writes (virtio 1.2 §2.7.4). Filled by {@link VirtQueue#poll}, which has checked that
 * every byte lies in RAM; reused from request to request, so that taking one allocates nothing once
 * the arrays have grown.
 *
 * <p>Positions are bytes from the start of the readable or of the writable part.
 */
public final class DescriptorChain {
  /** Longest chain taken, in the ring's table and again in an indirect one. */
  static final int MAXIMUM_SEGMENTS = 1024;

  private long[] addresses = new long[8];
  private long[] lengths = new long[8];
  private int readableSegments;
  private int segments;
  private int head;
  private long readableBytes;
  private long writableBytes;

  void clear(int newHead) {
    head = newHead;
    segments = 0;
    readableSegments = 0;
    readableBytes = 0;
    writableBytes = 0;
  }

  void add(long address, long length, boolean writable) {
    if (segments == addresses.length) {
      addresses = Arrays.copyOf(addresses, segments * 2);
      lengths = Arrays.copyOf(lengths, segments * 2);
    }
    addresses[segments] = address;
    lengths[segments++] = length;
    if (writable) {
      writableBytes += length;
    } else {
      readableSegments = segments;
      readableBytes += length;
    }
  }

  /** Index of the first descriptor: the request's name in the rings. */
  public int head() {
    return head;
  }

  /** Bytes that the driver gives to the device. */
  public long readableBytes() {
    return readableBytes;
  }

  /** Bytes that the device may write. */
  public long writableBytes() {
    return writableBytes;
  }

  public int segments() {
    return segments;
  }

  /** Guest-physical address of a buffer. */
  public long address(int segment) {
    return addresses[segment];
  }

  /** Length of a buffer in bytes, 1 to 2^32 - 1. */
  public long length(int segment) {
    return lengths[segment];
  }

  /**
   * Copies bytes that the driver gave.
   *
   * @return how many bytes were copied: fewer than {@code length} where the readable part ends
   */
  public int read(GuestMemory memory, long position, byte[] destination, int at, int length) {
    int done = 0;
    long start = position;
    for (int i = 0; i < readableSegments && done < length; i++) {
      if (start >= lengths[i]) {
        start -= lengths[i];
        continue;
      }
      int piece = (int) Math.min(lengths[i] - start, length - done);
      if (!memory.dmaRead(addresses[i] + start, destination, at + done, piece)) {
        return done;
      }
      done += piece;
      start = 0;
    }
    return done;
  }

  /**
   * Copies bytes to the driver.
   *
   * @return how many bytes were copied: fewer than {@code length} where the writable part ends
   */
  public int write(GuestMemory memory, long position, byte[] source, int at, int length) {
    int done = 0;
    long start = position;
    for (int i = readableSegments; i < segments && done < length; i++) {
      if (start >= lengths[i]) {
        start -= lengths[i];
        continue;
      }
      int piece = (int) Math.min(lengths[i] - start, length - done);
      if (!memory.dmaWrite(addresses[i] + start, source, at + done, piece)) {
        return done;
      }
      done += piece;
      start = 0;
    }
    return done;
  }

  /** Writes a chain that the device still holds. */
  public void save(StateWriter out) {
    out.putInt(head).putInt(readableSegments);
    out.putLongs(Arrays.copyOf(addresses, segments));
    out.putLongs(Arrays.copyOf(lengths, segments));
  }

  /** Takes back what {@link #save} wrote. */
  public void restore(StateReader in) {
    int savedHead = in.getInt();
    int savedReadable = in.getInt();
    long[] savedAddresses = in.getLongs();
    long[] savedLengths = in.getLongs();
    if (savedHead < 0
        || savedHead >= VirtQueue.LARGEST
        || savedAddresses.length != savedLengths.length
        || savedAddresses.length > 2 * MAXIMUM_SEGMENTS
        || savedReadable < 0
        || savedReadable > savedAddresses.length) {
      throw new StateException("the state's descriptor chain " + savedHead + " is impossible");
    }
    clear(savedHead);
    for (int i = 0; i < savedAddresses.length; i++) {
      if (savedLengths[i] <= 0 || savedLengths[i] > 0xFFFF_FFFFL) {
        throw new StateException("the state's descriptor chain " + savedHead + " is impossible");
      }
      add(savedAddresses[i], savedLengths[i], i >= savedReadable);
    }
  }
}
