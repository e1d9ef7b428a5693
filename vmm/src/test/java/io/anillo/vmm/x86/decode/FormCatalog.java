package io.anillo.vmm.x86.decode;

import java.util.ArrayList;
import java.util.List;

/** The lines of the instruction table, for tests that go through all of them. */
public final class FormCatalog {
  /** Opcode maps. */
  public static final int MAP_ONE = InstructionTable.MAP_ONE,
      MAP_0F = InstructionTable.MAP_0F,
      MAP_0F38 = InstructionTable.MAP_0F38,
      MAP_0F3A = InstructionTable.MAP_0F3A;

  /**
   * One form under one opcode.
   *
   * @param prefix 0 none asked for, 1: none of 66, F3, F2, else the mandatory prefix
   * @param extension what ModRM.reg must be, or -1
   * @param memory whether ModRM.rm must be memory (1), a register (0), or may be either (-1)
   * @param exactModrm the whole ModRM byte, or -1
   */
  public record Form(
      int map,
      int opcode,
      int prefix,
      int extension,
      int memory,
      int exactModrm,
      Operation operation,
      List<String> operands,
      boolean in64,
      boolean outside64,
      boolean lockable,
      boolean modrm) {

    public boolean has(String operand) {
      return operands.contains(operand);
    }

    @Override
    public String toString() {
      return "%s%s%02X%s %s %s"
          .formatted(
              prefix == 0 ? "" : prefix == 1 ? "np " : "%02X ".formatted(prefix),
              List.of("", "0F ", "0F38 ", "0F3A ").get(map),
              opcode,
              extension < 0 ? "" : "/" + extension,
              operation,
              String.join(",", operands));
    }
  }

  private FormCatalog() {}

  public static List<Form> all() {
    List<Form> result = new ArrayList<>();
    for (int map = MAP_ONE; map <= MAP_0F3A; map++) {
      for (int opcode = 0; opcode < 256; opcode++) {
        for (InstructionForm form : InstructionTable.INSTANCE.forms(map, opcode)) {
          result.add(
              new Form(
                  map,
                  opcode,
                  form.prefix(),
                  form.extension(),
                  form.memory(),
                  form.exactModrm(),
                  form.operation(),
                  form.operands(),
                  form.matchesMode(true),
                  form.matchesMode(false),
                  form.lockable(),
                  form.needsModrm()));
        }
      }
    }
    return result;
  }
}
