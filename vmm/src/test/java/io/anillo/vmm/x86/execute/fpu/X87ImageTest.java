package io.anillo.vmm.x86.execute.fpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/** The images of the unit in memory against images that a real processor made. */
class X87ImageTest {
  private static final int IMAGE_BYTES = 108;
  private static final int CELL_BYTES = X87Environment.EXTENDED_SIZE;
  private static final long IMAGE = 0x1000, CELL = 0x2000, AFTER = 0x3000;
  private static final String[] NAMES = {
    "FNENI", "FNSTENV", "FLDENV", "FXSAVE", "FXRSTOR", "FXSAVE64", "FXRSTOR64", "FNCLEX", "FNINIT"
  };

  @Test
  void imagesAreThoseOfAProcessor() throws IOException {
    List<String> differences = new ArrayList<>();
    int cases = 0;
    try (InputStream file = X87ImageTest.class.getResourceAsStream("/vectors/x87-images.bin.gz");
        InputStream input = new GZIPInputStream(Objects.requireNonNull(file));
        GuestMemory memory = new GuestMemory(1 << 20)) {
      FlatProcessor processor = new FlatProcessor(memory);
      X87Instructions instructions = new X87Instructions(processor);
      int operation;
      while ((operation = input.read()) >= 0) {
        replay(operation, input.read() == 0, input, processor, instructions, differences);
        cases++;
      }
    }
    assertThat(differences).isEmpty();
    assertThat(cases).isGreaterThan(300);
  }

  private static void replay(
      int operation,
      boolean operand32,
      InputStream input,
      FlatProcessor processor,
      X87Instructions instructions,
      List<String> differences)
      throws IOException {
    processor.state.cr0 = CpuState.CR0_PE | CpuState.CR0_NE;
    instructions.unit().initialize();
    put(processor, IMAGE, input.readNBytes(IMAGE_BYTES));
    put(processor, CELL, input.readNBytes(CELL_BYTES));
    put(processor, AFTER, new byte[IMAGE_BYTES]);
    instructions.execute(0xDD, 0x20, IMAGE, IMAGE, 0, 0, operand32);
    switch (operation) {
      case 0 -> instructions.execute(0xDB, 0xE0, 0, 0, 0, 0, operand32);
      case 1 -> instructions.execute(0xD9, 0x30, CELL, 0, 0, 0, operand32);
      case 2 -> instructions.execute(0xD9, 0x20, CELL, 0, 0, 0, operand32);
      case 3 -> instructions.environment().extendedSave(CELL, false);
      case 4 -> instructions.environment().extendedRestore(CELL, false);
      case 5 -> instructions.environment().extendedSave(CELL, true);
      case 6 -> instructions.environment().extendedRestore(CELL, true);
      case 7 -> instructions.execute(0xDB, 0xE2, 0, 0, 0, 0, operand32);
      default -> instructions.execute(0xDB, 0xE3, 0, 0, 0, 0, operand32);
    }
    instructions.execute(0xDD, 0x30, AFTER, 0, 0, 0, operand32);
    String name = NAMES[operation] + (operand32 ? " 32" : " 16");
    byte[] image = input.readNBytes(IMAGE_BYTES);
    byte[] cell = input.readNBytes(CELL_BYTES);
    boolean extendedSave = operation == 3 || operation == 5;
    if (extendedSave) {
      // MXCSR is not of this part. The recorded processor leaves the pointers out when no exception
      // is pending.
      boolean pending = (cell[2] & 0x80) != 0;
      for (int index = pending ? 24 : 6; index < 32; index++) {
        cell[index] = (byte) processor.load(CELL + index, 1);
      }
    }
    compare(name + " state", processor, AFTER, image, differences);
    compare(name + " memory", processor, CELL, cell, differences);
  }

  private static void put(FlatProcessor processor, long address, byte[] bytes) {
    for (int index = 0; index < bytes.length; index++) {
      processor.store(address + index, 1, bytes[index]);
    }
  }

  private static void compare(
      String name,
      FlatProcessor processor,
      long address,
      byte[] expected,
      List<String> differences) {
    for (int index = 0; index < expected.length; index++) {
      int got = (int) processor.load(address + index, 1);
      if (got != (expected[index] & 0xFF)) {
        differences.add(
            String.format("%s byte %d is %02x not %02x", name, index, got, expected[index]));
      }
    }
  }
}
