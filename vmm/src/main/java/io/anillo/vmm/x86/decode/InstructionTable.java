package io.anillo.vmm.x86.decode;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The instruction set, read once from {@code instructions.txt}: forms by opcode map and opcode. */
final class InstructionTable {
  static final int MAP_ONE = 0, MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3;

  private static final Set<String> FIXED_REGISTERS =
      Set.of("AL", "rAX", "eAX", "CL", "DX", "1", "ES", "CS", "SS", "DS", "FS", "GS");

  private static final InstructionForm[] NONE = {};

  private final InstructionForm[][] forms = new InstructionForm[4 * 256][];

  static final InstructionTable INSTANCE = new InstructionTable();

  private InstructionTable() {
    java.util.Arrays.fill(forms, NONE);
    try (InputStream in = InstructionTable.class.getResourceAsStream("instructions.txt")) {
      if (in == null) {
        throw new IllegalStateException("instructions.txt is missing from the class path");
      }
      var reader = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        if (!line.isBlank() && line.charAt(0) != '#') {
          parse(line);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static boolean isFixedRegister(String operand) {
    return FIXED_REGISTERS.contains(operand);
  }

  /**
   * The forms of an opcode, in the order in which they are to be tried; empty when the opcode is
   * undefined.
   */
  InstructionForm[] forms(int map, int opcode) {
    return forms[map << 8 | opcode];
  }

  private void parse(String line) {
    String[] words = line.trim().split("\\s+");
    int at = 0;
    int prefix = 0;
    if (words[at + 1].startsWith("0F") && List.of("np", "66", "F3", "F2").contains(words[at])) {
      prefix = words[at].equals("np") ? 1 : Integer.parseInt(words[at], 16);
      at++;
    }
    int map = MAP_ONE;
    if (words[at].startsWith("0F") && words[at + 1].matches("[0-9A-F]{2}([/=+mr].*)?")) {
      map =
          switch (words[at]) {
            case "0F" -> MAP_0F;
            case "0F38" -> MAP_0F38;
            case "0F3A" -> MAP_0F3A;
            default -> throw new IllegalStateException("instruction table: no map " + words[at]);
          };
      at++;
    }
    String code = words[at++];
    int opcode = Integer.parseInt(code.substring(0, 2), 16);
    String rest = code.substring(2);
    int extension = -1;
    int memory = -1;
    int exact = -1;
    int repeat = 1;
    if (rest.equals("+r")) {
      repeat = 8;
    } else if (rest.startsWith("=")) {
      exact = Integer.parseInt(rest.substring(1), 16);
    } else {
      if (rest.startsWith("/")) {
        extension = rest.charAt(1) - '0';
        rest = rest.substring(2);
      }
      if (rest.equals("m")) {
        memory = 1;
      } else if (rest.equals("r")) {
        memory = 0;
      }
    }
    Operation operation = Operation.valueOf(words[at++]);
    List<String> operands =
        at < words.length && !words[at].equals("-") ? List.of(words[at].split(",")) : List.of();
    at++;
    InstructionForm.Validity validity = InstructionForm.Validity.ALWAYS;
    InstructionForm.StackSize stackSize = InstructionForm.StackSize.NORMAL;
    boolean lockable = false;
    for (; at < words.length; at++) {
      switch (words[at]) {
        case "i64" -> validity = InstructionForm.Validity.NOT_64;
        case "o64" -> validity = InstructionForm.Validity.ONLY_64;
        case "d64" -> stackSize = InstructionForm.StackSize.DEFAULT_64;
        case "f64" -> stackSize = InstructionForm.StackSize.FORCED_64;
        case "lock" -> lockable = true;
        default -> throw new IllegalStateException("instruction table: no attribute " + words[at]);
      }
    }
    var form =
        new InstructionForm(
            prefix, extension, memory, exact, operation, operands, validity, stackSize, lockable);
    for (int i = 0; i < repeat; i++) {
      int slot = map << 8 | (opcode + i);
      var extended = new ArrayList<>(List.of(forms[slot]));
      extended.add(form);
      forms[slot] = extended.toArray(InstructionForm[]::new);
    }
  }
}
