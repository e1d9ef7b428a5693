package io.anillo.vmm.x86.vector;

/**
 * What every target's memory and segments look like to the code of a case; {@code
 * recorder/integer/execute.c} makes the same on a real processor.
 */
final class VectorLayout {
  /** Two pages that can be read, written and executed; nothing is mapped around them. */
  static final long CODE = 0x1000_0000L;

  static final int CODE_BYTES = 0x2000;

  /** Two pages that can be written, then one that can be read, none executable. */
  static final long DATA = 0x2000_0000L;

  static final int DATA_BYTES = 0x3000;
  static final int WRITABLE_BYTES = 0x2000;

  /** The two writable pages once more, above 4 GiB. */
  static final long DATA_ALIAS = 0x5000_0000_0000L;

  /** Bases of FS and GS in 64-bit code. */
  static final long FS_BASE = DATA + 0x1000, GS_BASE = DATA_ALIAS + 0x800;

  static final int CODE_64 = 0, FLAT_32 = 1, LOCAL_32 = 2, LOCAL_16 = 3;

  /** How the segment registers stand; index is the number of the setup in a case. */
  static final Setup[] SETUPS = {
    new Setup(0x33, 0x2B, 0, 0, 0),
    new Setup(0x23, 0x2B, 0x2B, 0x27, 0x2F),
    new Setup(0x17, 0x1F, 0x1F, 0x27, 0x2F),
    new Setup(0x07, 0x0F, 0x0F, 0x27, 0x37),
    new Setup(0x07, 0x1F, 0x1F, 0x27, 0x2F),
    new Setup(0x17, 0x0F, 0x0F, 0x27, 0x37),
  };

  /** Selectors of a setup; {@code data} is in DS and ES. */
  record Setup(int cs, int ss, int data, int fs, int gs) {
    boolean code64() {
      return cs == 0x33;
    }

    boolean code16() {
      return cs == 0x07;
    }

    long codeBase() {
      return (cs & 4) != 0 ? CODE : 0;
    }

    boolean stack16() {
      return ss == 0x0F;
    }
  }

  /** The local descriptor table: entry {@code n} has the selector {@code n * 8 + 7}. */
  static final Segment[] LOCAL = {
    new Segment(CODE, CODE_BYTES - 1, 0xFB, false),
    new Segment(DATA, DATA_BYTES - 1, 0xF3, false),
    new Segment(CODE, CODE_BYTES - 1, 0xFB, true),
    new Segment(DATA, DATA_BYTES - 1, 0xF3, true),
    new Segment(DATA + 0x1000, 0xFFF, 0xF3, true),
    new Segment(DATA, 0xFFF, 0xF1, true),
    new Segment(DATA, 0x7FF, 0xF7, true),
  };

  /** A segment of byte granularity. */
  record Segment(long base, int limit, int type, boolean big) {
    long descriptor() {
      return limit & 0xFFFF
          | (base & 0xFF_FFFF) << 16
          | (long) type << 40
          | (long) (limit >> 16 & 15) << 48
          | (big ? 1L << 54 : 0)
          | (base >>> 24) << 56;
    }
  }

  private VectorLayout() {}

  /** Where the offset 0 of a segment lies; segments are numbered as in CpuState. */
  static long segmentBase(int setup, int segment) {
    Setup s = SETUPS[setup];
    if (s.code64()) {
      return segment == 4 ? FS_BASE : segment == 5 ? GS_BASE : 0;
    }
    int selector =
        switch (segment) {
          case 1 -> s.cs;
          case 2 -> s.ss;
          case 4 -> s.fs;
          case 5 -> s.gs;
          default -> s.data;
        };
    return (selector & 4) != 0 ? LOCAL[selector >> 3].base : 0;
  }
}
