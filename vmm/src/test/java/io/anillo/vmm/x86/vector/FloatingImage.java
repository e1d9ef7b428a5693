package io.anillo.vmm.x86.vector;

import io.anillo.vmm.cpu.CpuState;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** FXSAVE64 images of a processor's state (Intel SDM vol. 2A, FXSAVE), pointers left out. */
final class FloatingImage {
  private static final int INITIAL_CONTROL = 0x37F, INITIAL_MXCSR = 0x1F80;

  private FloatingImage() {}

  static byte[] of(CpuState state) {
    ByteBuffer image = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
    image.putShort(0, (short) state.x87Control);
    image.putShort(2, (short) (state.x87Status & ~0x3800 | state.x87Top << 11));
    image.put(4, (byte) state.x87Valid);
    image.putInt(24, state.mxcsr);
    for (int i = 0; i < 8; i++) {
      int register = state.x87Top + i & 7;
      image.putLong(32 + 16 * i, state.x87Significand[register]);
      image.putShort(40 + 16 * i, (short) state.x87SignExponent[register]);
    }
    for (int i = 0; i < 32; i++) {
      image.putLong(160 + 8 * i, state.xmm[i]);
    }
    return image.array();
  }

  /** Loads an image; an empty one gives the state after initialization. */
  static void load(CpuState state, byte[] bytes) {
    if (bytes.length == 0) {
      state.x87Control = INITIAL_CONTROL;
      state.x87Status = 0;
      state.x87Top = 0;
      state.x87Valid = 0;
      state.mxcsr = INITIAL_MXCSR;
      return;
    }
    ByteBuffer image = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    state.x87Control = image.getShort(0);
    int status = image.getShort(2) & 0xFFFF;
    state.x87Top = status >> 11 & 7;
    state.x87Status = status & ~0x3800;
    state.x87Valid = image.get(4) & 0xFF;
    state.mxcsr = image.getInt(24);
    for (int i = 0; i < 8; i++) {
      int register = state.x87Top + i & 7;
      state.x87Significand[register] = image.getLong(32 + 16 * i);
      state.x87SignExponent[register] = image.getShort(40 + 16 * i) & 0xFFFF;
    }
    for (int i = 0; i < 32; i++) {
      state.xmm[i] = image.getLong(160 + 8 * i);
    }
  }
}
