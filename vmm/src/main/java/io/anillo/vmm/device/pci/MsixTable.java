package io.anillo.vmm.device.pci;

import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * MSI-X: the capability, the table of messages with a mask each, and the pending bits (PCI Local
 * Bus 3.0 §6.8.2). The table lies at the start of its BAR, the pending bits behind it.
 */
public final class MsixTable implements MmioDevice {
  static final int CAPABILITY_ID = 0x11;
  private static final int ENTRY_BYTES = 16;
  private static final int CONTROL_ENABLE = 1 << 15, CONTROL_FUNCTION_MASK = 1 << 14;

  private final PciDevice device;
  private final int vectors;
  private final int pendingOffset;

  /** Four words an entry: address low, address high, data, control (bit 0: masked). */
  private final int[] table;

  private final long[] pending;
  private PciConfigSpace config = new PciConfigSpace();
  private int capability;
  private long messagesSent;

  MsixTable(PciDevice device, int vectors) {
    if (vectors < 1 || vectors > 2048) {
      throw new IllegalArgumentException(vectors + " MSI-X vectors: 1 to 2048 are possible");
    }
    this.device = device;
    this.vectors = vectors;
    this.table = new int[vectors * 4];
    this.pending = new long[(vectors + 63) / 64];
    this.pendingOffset = Math.max(2048, Integer.highestOneBit(vectors * ENTRY_BYTES * 2 - 1));
    reset();
  }

  int barBytes() {
    return Math.max(4096, pendingOffset * 2);
  }

  void describe(PciConfigSpace space, int offset, int barIndex) {
    config = space;
    capability = offset;
    config.set(offset + 2, 2, vectors - 1);
    config.allowWrites(offset + 2, 2, CONTROL_ENABLE | CONTROL_FUNCTION_MASK);
    config.set(offset + 4, 4, barIndex);
    config.set(offset + 8, 4, pendingOffset | barIndex);
  }

  void reset() {
    for (int vector = 0; vector < vectors; vector++) {
      table[vector * 4] = 0;
      table[vector * 4 + 1] = 0;
      table[vector * 4 + 2] = 0;
      table[vector * 4 + 3] = 1;
    }
    java.util.Arrays.fill(pending, 0);
    if (capability != 0) {
      config.set(capability + 2, 2, vectors - 1);
    }
  }

  /** The number of vectors. */
  public int vectors() {
    return vectors;
  }

  /** Whether the guest has switched from the INTA pin to messages. */
  public boolean enabled() {
    return capability != 0 && (config.getShort(capability + 2) & CONTROL_ENABLE) != 0;
  }

  /** Messages sent since the machine was made. */
  public long messagesSent() {
    return messagesSent;
  }

  /**
   * Sends a vector's message, or remembers it as pending while the vector or the function is
   * masked. Does nothing while MSI-X is disabled, or for a vector that does not exist (a guest may
   * have chosen it).
   */
  public void signal(int vector) {
    if (vector < 0 || vector >= vectors || !enabled()) {
      return;
    }
    if (masked(vector)) {
      pending[vector >> 6] |= 1L << vector;
    } else {
      send(vector);
    }
  }

  private boolean masked(int vector) {
    return (table[vector * 4 + 3] & 1) != 0
        || (config.getShort(capability + 2) & CONTROL_FUNCTION_MASK) != 0;
  }

  private void send(int vector) {
    messagesSent++;
    long address = table[vector * 4] & 0xFFFFFFFCL | (long) table[vector * 4 + 1] << 32;
    device.sendMessage(address, table[vector * 4 + 2]);
  }

  /** Sends what became unmasked when the control register was written. */
  void configurationWritten() {
    if (enabled()) {
      for (int word = 0; word < pending.length; word++) {
        for (long bits = pending[word]; bits != 0; bits &= bits - 1) {
          sendIfUnmasked(word * 64 + Long.numberOfTrailingZeros(bits));
        }
      }
    }
  }

  private void sendIfUnmasked(int vector) {
    if (enabled() && (pending[vector >> 6] & 1L << vector) != 0 && !masked(vector)) {
      pending[vector >> 6] &= ~(1L << vector);
      send(vector);
    }
  }

  @Override
  public long readMmio(long offset, int sizeBytes) {
    if ((offset & sizeBytes - 1) != 0 || sizeBytes < 4) {
      return 0;
    }
    long low = word(offset) & 0xFFFFFFFFL;
    return sizeBytes == 4 ? low : low | (long) word(offset + 4) << 32;
  }

  private int word(long offset) {
    if (offset < (long) vectors * ENTRY_BYTES) {
      return table[(int) (offset >> 2)];
    }
    long bit = (offset - pendingOffset) * 8;
    if (bit >= 0 && bit < pending.length * 64L) {
      return (int) (pending[(int) (bit >> 6)] >>> (bit & 32));
    }
    return 0;
  }

  @Override
  public void writeMmio(long offset, int sizeBytes, long value) {
    // Only aligned words and double words are defined; pending bits are read-only.
    if ((offset & sizeBytes - 1) != 0 || sizeBytes < 4 || offset >= (long) vectors * ENTRY_BYTES) {
      return;
    }
    int word = (int) (offset >> 2);
    writeWord(word, (int) value);
    if (sizeBytes == 8) {
      writeWord(word + 1, (int) (value >>> 32));
    }
  }

  private void writeWord(int word, int value) {
    if ((word & 3) == 3) {
      table[word] = value & 1;
      sendIfUnmasked(word >> 2);
    } else {
      table[word] = value;
    }
  }

  void save(StateWriter out) {
    out.putInts(table).putLongs(pending);
  }

  void restore(StateReader in) {
    in.getInts(table);
    in.getLongs(pending);
  }
}
