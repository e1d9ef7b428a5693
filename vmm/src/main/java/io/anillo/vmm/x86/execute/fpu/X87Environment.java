package io.anillo.vmm.x86.execute.fpu;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Processor;

/**
 * The images of the unit in memory: the environment of FNSTENV and FLDENV in its four formats, the
 * state of FNSAVE and FRSTOR (Intel SDM vol. 1 §8.1.10), and the x87 part of the FXSAVE image
 * (§10.5.1). A write is probed whole before its first byte is stored, and a load reads all before
 * it changes the unit.
 */
public final class X87Environment {
  /**
   * Bytes from the start of an FXSAVE image to the end of its x87 registers; MXCSR at 24 to 31 is
   * not of this part.
   */
  public static final int EXTENDED_SIZE = 160;

  private final Processor processor;
  private final X87 unit;
  private final CpuState state;
  private final long[] loadedSignificand = new long[8];
  private final int[] loadedSignExponent = new int[8];

  public X87Environment(Processor processor, X87 unit) {
    this.processor = processor;
    this.unit = unit;
    this.state = unit.state;
  }

  /**
   * The full tag word, two bits for each physical register: 0 valid, 1 zero, 2 special, 3 empty.
   */
  public int tagWord() {
    int tags = 0;
    for (int register = 7; register >= 0; register--) {
      tags = tags << 2 | tag(register);
    }
    return tags;
  }

  private int tag(int register) {
    if ((state.x87Valid >>> register & 1) == 0) {
      return 3;
    }
    int signExponent = state.x87SignExponent[register];
    long significand = state.x87Significand[register];
    if (Float80.isNormal(signExponent, significand)) {
      return 0;
    }
    return Float80.isZero(signExponent, significand) ? 1 : 2;
  }

  /** The abridged tags of a full tag word: a bit for each register that is not empty. */
  public static int abridge(int tagWord) {
    int valid = 0;
    for (int register = 0; register < 8; register++) {
      if ((tagWord >>> (2 * register) & 3) != 3) {
        valid |= 1 << register;
      }
    }
    return valid;
  }

  private boolean realFormat() {
    return !state.protectedMode() || state.virtual8086();
  }

  /** FNSTENV; masks all exceptions afterwards. */
  public void storeEnvironment(long linear, boolean operand32) {
    probe(linear, operand32 ? 28 : 14);
    writeEnvironment(linear, operand32);
    state.x87Control |= X87.EXCEPTIONS;
    unit.summarize();
  }

  /** FLDENV. */
  public void loadEnvironment(long linear, boolean operand32) {
    // The last byte first: a fault there must find the unit unchanged.
    processor.load(linear + (operand32 ? 27 : 13), 1);
    readEnvironment(linear, operand32);
  }

  /** FNSAVE; initializes the unit afterwards. */
  public void save(long linear, boolean operand32) {
    int environment = operand32 ? 28 : 14;
    probe(linear, environment + 80);
    writeEnvironment(linear, operand32);
    for (int index = 0; index < 8; index++) {
      long address = linear + environment + 10 * index;
      processor.store(address, 8, unit.significand(index));
      processor.store(address + 8, 2, unit.signExponent(index));
    }
    unit.initialize();
  }

  /** FRSTOR. */
  public void restore(long linear, boolean operand32) {
    int environment = operand32 ? 28 : 14;
    for (int index = 0; index < 8; index++) {
      long address = linear + environment + 10 * index;
      loadedSignificand[index] = processor.load(address, 8);
      loadedSignExponent[index] = (int) processor.load(address + 8, 2);
    }
    readEnvironment(linear, operand32);
    installRegisters();
  }

  private void installRegisters() {
    for (int index = 0; index < 8; index++) {
      int register = unit.physical(index);
      state.x87Significand[register] = loadedSignificand[index];
      state.x87SignExponent[register] = loadedSignExponent[index];
    }
  }

  /** All pages of at most two are asked, by their first and last byte. */
  private void probe(long linear, int sizeBytes) {
    processor.probeWrite(linear, 1);
    processor.probeWrite(linear + sizeBytes - 1, 1);
  }

  private void writeEnvironment(long linear, boolean operand32) {
    int size = operand32 ? 4 : 2;
    long filler = operand32 ? 0xFFFF_0000L : 0;
    processor.store(linear, size, state.x87Control | filler);
    processor.store(linear + size, size, unit.statusWord() | filler);
    processor.store(linear + 2L * size, size, tagWord() | filler);
    long instruction = state.x87InstructionPointer;
    long data = state.x87DataPointer;
    int opcode = state.x87Opcode & 0x7FF;
    if (realFormat()) {
      instruction += (long) state.x87InstructionSelector << 4;
      data += (long) state.x87DataSelector << 4;
      long instructionHigh = operand32 ? instruction >>> 16 & 0xFFFF : instruction >>> 16 & 0xF;
      long dataHigh = operand32 ? data >>> 16 & 0xFFFF : data >>> 16 & 0xF;
      processor.store(linear + 3L * size, size, (instruction & 0xFFFF) | filler);
      processor.store(linear + 4L * size, size, instructionHigh << 12 | opcode);
      processor.store(linear + 5L * size, size, (data & 0xFFFF) | filler);
      processor.store(linear + 6L * size, size, dataHigh << 12);
      return;
    }
    long selector = state.x87InstructionSelector & 0xFFFF;
    processor.store(linear + 3L * size, size, instruction);
    processor.store(
        linear + 4L * size, size, operand32 ? selector | (long) opcode << 16 : selector);
    processor.store(linear + 5L * size, size, data);
    processor.store(linear + 6L * size, size, (state.x87DataSelector & 0xFFFF) | filler);
  }

  private void readEnvironment(long linear, boolean operand32) {
    int size = operand32 ? 4 : 2;
    int control = (int) processor.load(linear, 2);
    int status = (int) processor.load(linear + size, 2);
    int tags = (int) processor.load(linear + 2L * size, 2);
    long instruction = processor.load(linear + 3L * size, size);
    long third = processor.load(linear + 4L * size, size);
    long data = processor.load(linear + 5L * size, size);
    long fifth = processor.load(linear + 6L * size, size);
    if (realFormat()) {
      long mask = operand32 ? 0xFFFF : 0xF;
      state.x87InstructionPointer = (instruction & 0xFFFF) | (third >>> 12 & mask) << 16;
      state.x87DataPointer = (data & 0xFFFF) | (fifth >>> 12 & mask) << 16;
      state.x87InstructionSelector = 0;
      state.x87DataSelector = 0;
      state.x87Opcode = (int) third & 0x7FF;
    } else {
      state.x87InstructionPointer = instruction;
      state.x87DataPointer = data;
      state.x87InstructionSelector = (int) third & 0xFFFF;
      state.x87DataSelector = (int) fifth & 0xFFFF;
      if (operand32) {
        state.x87Opcode = (int) (third >>> 16) & 0x7FF;
      }
    }
    state.x87Valid = abridge(tags);
    unit.loadControl(control);
    unit.setStatusWord(status);
  }

  /**
   * The x87 part of FXSAVE and XSAVE: bytes 0 to 23 and 32 to 159 of the image.
   *
   * @param wide whether REX.W asks for 64-bit pointers without selectors
   */
  public void extendedSave(long linear, boolean wide) {
    probe(linear, EXTENDED_SIZE);
    processor.store(linear, 2, state.x87Control);
    processor.store(linear + 2, 2, unit.statusWord());
    processor.store(linear + 4, 2, state.x87Valid);
    processor.store(linear + 6, 2, state.x87Opcode & 0x7FF);
    if (wide) {
      processor.store(linear + 8, 8, state.x87InstructionPointer);
      processor.store(linear + 16, 8, state.x87DataPointer);
    } else {
      long instructionSelector = state.x87InstructionSelector & 0xFFFFL;
      long dataSelector = state.x87DataSelector & 0xFFFFL;
      processor.store(
          linear + 8, 8, (state.x87InstructionPointer & 0xFFFF_FFFFL) | instructionSelector << 32);
      processor.store(linear + 16, 8, (state.x87DataPointer & 0xFFFF_FFFFL) | dataSelector << 32);
    }
    for (int index = 0; index < 8; index++) {
      long address = linear + 32 + 16 * index;
      processor.store(address, 8, unit.significand(index));
      processor.store(address + 8, 8, unit.signExponent(index));
    }
  }

  /** The x87 part of FXRSTOR and XRSTOR. */
  public void extendedRestore(long linear, boolean wide) {
    for (int index = 0; index < 8; index++) {
      long address = linear + 32 + 16 * index;
      loadedSignificand[index] = processor.load(address, 8);
      loadedSignExponent[index] = (int) processor.load(address + 8, 2);
    }
    int control = (int) processor.load(linear, 2);
    int status = (int) processor.load(linear + 2, 2);
    int valid = (int) processor.load(linear + 4, 1);
    int opcode = (int) processor.load(linear + 6, 2);
    long instruction = processor.load(linear + 8, 8);
    long data = processor.load(linear + 16, 8);
    state.x87Valid = valid;
    state.x87Opcode = opcode & 0x7FF;
    if (wide) {
      state.x87InstructionPointer = instruction;
      state.x87DataPointer = data;
      state.x87InstructionSelector = 0;
      state.x87DataSelector = 0;
    } else {
      state.x87InstructionPointer = instruction & 0xFFFF_FFFFL;
      state.x87DataPointer = data & 0xFFFF_FFFFL;
      state.x87InstructionSelector = (int) (instruction >>> 32) & 0xFFFF;
      state.x87DataSelector = (int) (data >>> 32) & 0xFFFF;
    }
    unit.loadControl(control);
    unit.setStatusWord(status);
    installRegisters();
  }
}
