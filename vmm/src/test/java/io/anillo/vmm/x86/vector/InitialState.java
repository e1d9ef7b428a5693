package io.anillo.vmm.x86.vector;

/** Registers, flags, floating-point registers and memory from a seed: edges and random values. */
final class InitialState {
  private static final long[] EDGES = {
    0,
    1,
    2,
    -1,
    -2,
    0x7F,
    0x80,
    0x81,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0x8001,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFFL,
    0x8000_0000L,
    0x8000_0001L,
    0xFFFF_FFFFL,
    0x1_0000_0000L,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    Long.MIN_VALUE + 1,
    0x5555_5555_5555_5555L,
    0xAAAA_AAAA_AAAA_AAAAL,
    0x0F0F_0F0F_0F0F_0F0FL,
    0x8080_8080_8080_8080L,
    0x0001_0203_0405_0607L,
    0xFFFF_FFFF_0000_0000L,
    0x9999_9999_9999_9999L,
    0x0909_0909_0909_0909L,
    0x7FFF_7FFF_7FFF_7FFFL
  };

  private InitialState() {}

  static void fill(VectorCase target) {
    Randomness random = new Randomness(target.seed);
    boolean wide = target.segments().code64();
    for (int i = 0; i < 16; i++) {
      long value = value(random);
      target.general[i] = wide ? value : i < 8 ? value & 0xFFFF_FFFFL : 0;
    }
    int flags = 0x302;
    for (int bit : new int[] {1, 4, 0x10, 0x40, 0x80, 0x800}) {
      flags |= random.below(2) * bit;
    }
    target.flags = flags | (random.below(16) == 0 ? 0x400 : 0);
    if (target.floatingMatters()) {
      target.floating = floating(random);
    }
  }

  static long value(Randomness random) {
    return switch (random.below(8)) {
      case 0, 1, 2 -> EDGES[random.below(EDGES.length)];
      case 3 -> random.next() >> random.below(64);
      case 4 -> EDGES[random.below(EDGES.length)] + random.below(5) - 2;
      case 5 -> random.below(256);
      default -> random.next();
    };
  }

  /** Data pages: edges, random values, and numbers that can be addresses of code and data. */
  static byte[] image(int number) {
    Randomness random = new Randomness(0x1000_0000 + number);
    byte[] image = new byte[VectorLayout.DATA_BYTES];
    var buffer = java.nio.ByteBuffer.wrap(image).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      long value =
          switch (random.below(8)) {
            case 0 -> VectorLayout.CODE + random.below(VectorLayout.CODE_BYTES);
            case 1 ->
                random.below(VectorLayout.CODE_BYTES)
                    | (long) random.below(VectorLayout.CODE_BYTES) << 32;
            case 2 -> VectorLayout.DATA + random.below(VectorLayout.DATA_BYTES);
            default -> value(random);
          };
      buffer.putLong(value);
    }
    return image;
  }

  private static byte[] floating(Randomness random) {
    byte[] image = new byte[512];
    var buffer = java.nio.ByteBuffer.wrap(image).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    int control = random.below(4) == 0 ? 0x37F ^ random.below(64) : 0x37F;
    if (random.below(3) == 0) {
      control = control & ~0xF00 | random.below(16) << 8;
    }
    buffer.putShort(0, (short) control);
    buffer.putShort(2, (short) (random.below(8) << 11 | random.below(2) << 8));
    buffer.put(4, (byte) (random.below(3) == 0 ? random.next() : random.below(2) * 255));
    int mxcsr = 0x1F80;
    if (random.below(3) == 0) {
      mxcsr |= random.below(4) << 13;
    }
    if (random.below(6) == 0) {
      mxcsr |= random.below(2) << 15 | random.below(2) << 6 | random.below(64);
    }
    if (random.below(10) == 0) {
      mxcsr ^= random.below(64) << 7;
    }
    buffer.putInt(24, mxcsr);
    for (int i = 0; i < 8; i++) {
      buffer.putLong(32 + 16 * i, significand(random));
      buffer.putShort(40 + 16 * i, (short) exponent(random));
    }
    for (int i = 0; i < 32; i++) {
      buffer.putLong(160 + 8 * i, lane(random));
    }
    return image;
  }

  private static long significand(Randomness random) {
    return switch (random.below(6)) {
      case 0 -> Long.MIN_VALUE;
      case 1 -> random.next() << 32 | Long.MIN_VALUE;
      case 2 -> value(random);
      default -> random.next() | Long.MIN_VALUE;
    };
  }

  private static int exponent(Randomness random) {
    int sign = random.below(2) << 15;
    return sign
        | switch (random.below(8)) {
          case 0 -> 0;
          case 1 -> 0x7FFF;
          case 2 -> random.below(0x7FFF);
          default -> 0x3FFF - 20 + random.below(90);
        };
  }

  private static long lane(Randomness random) {
    return switch (random.below(4)) {
      case 0 -> value(random);
      case 1 -> Double.doubleToRawLongBits((random.below(20001) - 10000) / 8.0);
      case 2 ->
          Float.floatToRawIntBits((random.below(20001) - 10000) / 4.0f) & 0xFFFF_FFFFL
              | (long) Float.floatToRawIntBits((random.below(2001) - 1000) / 16.0f) << 32;
      default -> random.next();
    };
  }
}
