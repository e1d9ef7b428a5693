package io.anillo.vmm.x86.execute.fpu;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/**
 * Replays what a processor was recorded to do (see {@code src/test/recorder/x87/record.c} for the
 * format) and lists the differences.
 */
final class X87Vectors implements AutoCloseable {
  private static final long OPERAND = 0x1000;

  private final GuestMemory memory = new GuestMemory(1 << 20);

  private final FlatProcessor processor = new FlatProcessor(memory);
  private final CpuState state = processor.state;
  private final X87Instructions instructions = new X87Instructions(processor);
  private final List<String> differences = new ArrayList<>();
  private final boolean approximate;
  private int cases;
  private int inexact;

  /**
   * @param approximate whether results may differ by one unit in the last place, and C1 with them
   */
  X87Vectors(boolean approximate) {
    this.approximate = approximate;
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_NE;
  }

  @Override
  public void close() {
    memory.close();
  }

  int cases() {
    return cases;
  }

  /** How many results differed from the recorded ones by one unit in the last place. */
  int inexact() {
    return inexact;
  }

  List<String> differences() {
    return differences;
  }

  void replay(String resource) throws IOException {
    try (InputStream file = X87Vectors.class.getResourceAsStream(resource);
        DataInputStream input =
            new DataInputStream(
                new BufferedInputStream(
                    new GZIPInputStream(Objects.requireNonNull(file, resource), 1 << 16)))) {
      while (true) {
        int opcode = input.read();
        if (opcode < 0) {
          return;
        }
        replayCase(opcode, input);
        cases++;
      }
    } catch (EOFException truncated) {
      throw new IOException(resource + " ends within a record", truncated);
    }
  }

  private void replayCase(int opcode, DataInputStream input) throws IOException {
    int modrm = input.readUnsignedByte();
    int control = word(input);
    int status = word(input);
    int valid = input.readUnsignedByte();
    int flags = input.readUnsignedByte();
    state.x87Control = control;
    state.x87Status = status & ~0x3800;
    state.x87Top = status >> 11 & 7;
    state.x87Valid = valid;
    state.setRflags(flags);
    state.general[CpuState.RAX] = 0;
    for (int index = 0; index < 8; index++) {
      int register = state.x87Top + index & 7;
      if (index < 2) {
        state.x87Significand[register] = quad(input);
        state.x87SignExponent[register] = word(input);
      } else {
        state.x87Significand[register] = Long.MIN_VALUE + index;
        state.x87SignExponent[register] = 0x3FFF + index;
      }
    }
    boolean hasMemory = modrm < 0xC0;
    boolean hasImage = hasMemory || (opcode == 0xDF && modrm == 0xE0);
    if (hasImage) {
      processor.store(OPERAND, 8, quad(input));
      processor.store(OPERAND + 8, 2, word(input));
    }
    String before =
        String.format(
            "%02X %02X control %04x status %04x valid %02x flags %02x ST0 %s ST1 %s memory"
                + " %04x:%016x",
            opcode,
            modrm,
            control,
            status,
            valid,
            flags,
            register(state.x87Top),
            register(state.x87Top + 1 & 7),
            processor.load(OPERAND + 8, 2),
            processor.load(OPERAND, 8));
    long[] significands = state.x87Significand.clone();
    int[] signExponents = state.x87SignExponent.clone();
    instructions.execute(opcode, modrm, OPERAND, OPERAND, 0, 0, true);
    if (hasImage && !hasMemory) {
      processor.store(OPERAND, 2, state.general[CpuState.RAX]);
    }
    compareAfter(input, before, significands, signExponents, hasImage);
  }

  private void compareAfter(
      DataInputStream input,
      String before,
      long[] significands,
      int[] signExponents,
      boolean hasImage)
      throws IOException {
    int status = word(input);
    int valid = input.readUnsignedByte();
    int control = word(input);
    int flags = word(input);
    int changed = input.readUnsignedByte();
    StringBuilder wrong = new StringBuilder();
    for (int register = 0; register < 8; register++) {
      long significand = significands[register];
      int signExponent = signExponents[register];
      if ((changed >> register & 1) != 0) {
        significand = quad(input);
        signExponent = word(input);
      }
      if (state.x87Significand[register] == significand
          && state.x87SignExponent[register] == signExponent) {
        continue;
      }
      if (approximate && neighbours(register, signExponent, significand)) {
        inexact++;
        continue;
      }
      wrong.append(
          String.format(
              " R%d is %s not %04x:%016x",
              register, register(register), signExponent, significand));
    }
    int statusMask = approximate ? ~X87.C1 : ~0;
    int got = instructions.unit().statusWord();
    if (((got ^ status) & statusMask) != 0) {
      wrong.append(String.format(" status is %04x not %04x", got, status));
    }
    if (state.x87Valid != valid) {
      wrong.append(String.format(" valid is %02x not %02x", state.x87Valid, valid));
    }
    if (state.x87Control != control) {
      wrong.append(String.format(" control is %04x not %04x", state.x87Control, control));
    }
    int arithmetic = flags & CpuState.ARITHMETIC_FLAGS;
    if (state.arithmeticFlags() != arithmetic) {
      wrong.append(String.format(" flags are %04x not %04x", state.arithmeticFlags(), arithmetic));
    }
    if (hasImage) {
      long low = quad(input);
      int high = word(input);
      if (processor.load(OPERAND, 8) != low || processor.load(OPERAND + 8, 2) != high) {
        wrong.append(
            String.format(
                " memory is %04x:%016x not %04x:%016x",
                processor.load(OPERAND + 8, 2), processor.load(OPERAND, 8), high, low));
      }
    }
    if (!wrong.isEmpty()) {
      differences.add(before + " ->" + wrong);
    }
  }

  /**
   * Whether the register's number is one unit in the last place away, across a power of two as
   * well.
   */
  private boolean neighbours(int register, int signExponent, long significand) {
    int gotSignExponent = state.x87SignExponent[register];
    long got = state.x87Significand[register];
    if (gotSignExponent == signExponent) {
      return Math.abs(got - significand) == 1;
    }
    int larger = Math.max(gotSignExponent & 0x7FFF, signExponent & 0x7FFF);
    int smaller = Math.min(gotSignExponent & 0x7FFF, signExponent & 0x7FFF);
    long power = larger == (signExponent & 0x7FFF) ? significand : got;
    long below = power == significand ? got : significand;
    return ((gotSignExponent ^ signExponent) & 0x8000) == 0
        && larger == smaller + 1
        && power == Long.MIN_VALUE
        && below == -1L;
  }

  private String register(int register) {
    return String.format(
        "%04x:%016x", state.x87SignExponent[register], state.x87Significand[register]);
  }

  private static int word(DataInputStream input) throws IOException {
    return Short.reverseBytes(input.readShort()) & 0xFFFF;
  }

  private static long quad(DataInputStream input) throws IOException {
    return Long.reverseBytes(input.readLong());
  }
}
