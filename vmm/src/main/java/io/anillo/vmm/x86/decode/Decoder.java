package io.anillo.vmm.x86.decode;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Operand.Kind;
import java.util.ArrayList;
import java.util.List;

/**
 * Bytes to {@link Instruction}s, led by the table in {@code instructions.txt} (Intel SDM vol. 2,
 * chapter 2 and appendix A). One instance per thread; decoding is not hot, since its results are
 * cached.
 */
public final class Decoder {
  private static final int MAXIMUM_LENGTH = 15;

  private byte[] code = {};
  private int position;
  private int limit;
  private int start;

  /**
   * Decodes one instruction.
   *
   * @param bytes holds the code
   * @param from index of the first byte
   * @param to index behind the last byte that may be read
   * @throws DecodeException.TRUNCATED and its siblings
   */
  public Instruction decode(byte[] bytes, int from, int to, CodeSize codeSize) {
    code = bytes;
    position = from;
    start = from;
    limit = to;
    Instruction instruction = new Instruction();
    boolean code64 = codeSize == CodeSize.CODE_64;
    int prefixes = 0;
    int segment = -1;
    boolean operandSizePrefix = false;
    boolean addressSizePrefix = false;
    int lastRepeat = 0;
    int rex = 0;
    int opcode;
    while (true) {
      opcode = next();
      boolean prefix = true;
      switch (opcode) {
        case 0x26, 0x2E, 0x36, 0x3E -> {
          if (!code64) {
            segment = opcode >> 3 & 3;
          }
        }
        case 0x64 -> segment = CpuState.FS;
        case 0x65 -> segment = CpuState.GS;
        case 0x66 -> operandSizePrefix = true;
        case 0x67 -> addressSizePrefix = true;
        case 0xF0 -> prefixes |= Instruction.PREFIX_LOCK;
        case 0xF2 -> lastRepeat = 0xF2;
        case 0xF3 -> lastRepeat = 0xF3;
        default -> prefix = false;
      }
      if (prefix) {
        rex = 0;
        continue;
      }
      if (code64 && (opcode & 0xF0) == 0x40) {
        rex = opcode;
        continue;
      }
      break;
    }
    if (lastRepeat == 0xF3) {
      prefixes |= Instruction.PREFIX_REP;
    } else if (lastRepeat == 0xF2) {
      prefixes |= Instruction.PREFIX_REPNE;
    }
    if (operandSizePrefix) {
      prefixes |= Instruction.PREFIX_OPERAND_SIZE;
    }
    int map = InstructionTable.MAP_ONE;
    if (opcode == 0x0F) {
      map = InstructionTable.MAP_0F;
      opcode = next();
      if (opcode == 0x38) {
        map = InstructionTable.MAP_0F38;
        opcode = next();
      } else if (opcode == 0x3A) {
        map = InstructionTable.MAP_0F3A;
        opcode = next();
      }
    }
    instruction.prefixes = prefixes;
    instruction.rex = rex;
    instruction.opcode = opcode;
    instruction.addressBytes =
        switch (codeSize) {
          case CODE_16 -> addressSizePrefix ? 4 : 2;
          case CODE_32 -> addressSizePrefix ? 2 : 4;
          case CODE_64 -> addressSizePrefix ? 4 : 8;
        };
    InstructionForm form = select(map, opcode, code64, operandSizePrefix, lastRepeat, instruction);
    if (instruction.modrm < 0 && form.needsModrm()) {
      instruction.modrm = next();
    }
    instruction.operation = form.operation();
    instruction.operandBytes = operandBytes(form, codeSize, operandSizePrefix, rex);
    if (segment >= 0) {
      instruction.segment = segment;
      instruction.segmentOverridden = true;
    }
    boolean memory = instruction.modrm >= 0 && instruction.modrm < 0xC0 && usesRm(form);
    if (memory) {
      decodeAddress(instruction, code64);
    }
    decodeOperands(instruction, form, code64);
    if ((prefixes & Instruction.PREFIX_LOCK) != 0
        && !(form.lockable() && instruction.operand(0).isMemory())) {
      throw DecodeException.UNDEFINED;
    }
    instruction.length = position - start;
    return instruction;
  }

  private static boolean usesRm(InstructionForm form) {
    // MOV to and from control and debug registers take ModRM.rm as a register whatever ModRM.mod
    // says.
    return switch (form.operation()) {
      case MOV_FROM_CONTROL, MOV_TO_CONTROL, MOV_FROM_DEBUG, MOV_TO_DEBUG -> false;
      default -> true;
    };
  }

  private InstructionForm select(
      int map,
      int opcode,
      boolean code64,
      boolean operandSizePrefix,
      int lastRepeat,
      Instruction instruction) {
    int mandatory = lastRepeat != 0 ? lastRepeat : operandSizePrefix ? 0x66 : 1;
    InstructionForm withoutPrefix = null;
    for (InstructionForm form : InstructionTable.INSTANCE.forms(map, opcode)) {
      if (!form.matchesMode(code64)) {
        continue;
      }
      // F2 CRC32 takes 66 as its operand size as well, so F2 and F3 go before 66.
      if (form.prefix() != 0 && form.prefix() != mandatory) {
        continue;
      }
      if (form.extension() >= 0 || form.memory() >= 0 || form.exactModrm() >= 0) {
        if (instruction.modrm < 0) {
          instruction.modrm = next();
        }
        if (!form.matchesModrm(instruction.modrm)) {
          continue;
        }
      }
      if (form.prefix() != 0) {
        return form;
      }
      if (withoutPrefix == null || form.exactModrm() >= 0) {
        withoutPrefix = form;
      }
    }
    if (withoutPrefix == null) {
      throw DecodeException.UNDEFINED;
    }
    return withoutPrefix;
  }

  private static int operandBytes(
      InstructionForm form, CodeSize codeSize, boolean prefix66, int rex) {
    if (!form.operands().isEmpty() && form.operands().getFirst().equals("b")) {
      return 1;
    }
    boolean ignore66 = form.prefix() == 0x66;
    boolean narrow = prefix66 && !ignore66;
    return switch (codeSize) {
      case CODE_16 -> narrow ? 4 : 2;
      case CODE_32 -> narrow ? 2 : 4;
      case CODE_64 ->
          switch (form.stackSize()) {
            case NORMAL -> (rex & 8) != 0 ? 8 : narrow ? 2 : 4;
            case DEFAULT_64 -> (rex & 8) != 0 ? 8 : narrow ? 2 : 8;
            // AMD's processors take 66 for near transfers: AMD APM vol. 3 §1.2.2.
            case FORCED_64 -> (rex & 8) == 0 && narrow ? 2 : 8;
          };
    };
  }

  // ---- operands
  // -----------------------------------------------------------------------------------------------------

  private void decodeOperands(Instruction instruction, InstructionForm form, boolean code64) {
    List<Operand> operands = new ArrayList<>(3);
    for (String code : form.operands()) {
      Operand operand = operand(instruction, code, code64);
      if (operand != null) {
        operands.add(operand);
      }
    }
    instruction.operands = operands;
  }

  private @org.jspecify.annotations.Nullable Operand operand(
      Instruction instruction, String code, boolean code64) {
    int v = instruction.operandBytes;
    switch (code) {
      case "b", "v" -> {
        return null;
      }
      case "z" -> {
        instruction.operandBytes = Math.min(v, 4);
        return null;
      }
      case "AL" -> {
        return new Operand(Kind.GENERAL, CpuState.RAX, 1);
      }
      case "rAX" -> {
        return new Operand(Kind.GENERAL, CpuState.RAX, v);
      }
      case "eAX" -> {
        return new Operand(Kind.GENERAL, CpuState.RAX, Math.min(v, 4));
      }
      case "CL" -> {
        return new Operand(Kind.GENERAL, CpuState.RCX, 1);
      }
      case "DX" -> {
        return new Operand(Kind.GENERAL, CpuState.RDX, 2);
      }
      case "1" -> {
        instruction.immediate = 1;
        return new Operand(Kind.IMMEDIATE, 0, 1);
      }
      case "ES", "CS", "SS", "DS", "FS", "GS" -> {
        return new Operand(
            Kind.SEGMENT, List.of("ES", "CS", "SS", "DS", "FS", "GS").indexOf(code), 2);
      }
      default -> {}
    }
    int size = code.length() > 1 ? size(instruction, code.charAt(1)) : 0;
    int modrm = instruction.modrm;
    int rex = instruction.rex;
    int reg = (modrm >> 3 & 7) | (rex & 4) << 1;
    int rm = (modrm & 7) | (rex & 1) << 3;
    boolean register = modrm >= 0xC0;
    return switch (code.charAt(0)) {
      case 'E' -> register ? general(rm, size, rex) : new Operand(Kind.MEMORY, 0, size);
      case 'U' -> register ? general(rm, 4, rex) : new Operand(Kind.MEMORY, 0, size);
      case 'M' -> {
        if (register) {
          throw DecodeException.UNDEFINED;
        }
        yield new Operand(Kind.MEMORY, 0, size);
      }
      case 'G' -> general(reg, size, rex);
      case 'R' ->
          general(
              rm,
              code.charAt(1) == 'y' && usesFullRegister(instruction) ? (code64 ? 8 : 4) : size,
              rex);
      case 'Z' -> general((instruction.opcode & 7) | (rex & 1) << 3, size, rex);
      case 'S' -> segmentRegister(reg & 7);
      case 'C' -> new Operand(Kind.CONTROL, controlRegister(reg, instruction), 8);
      case 'D' -> new Operand(Kind.DEBUG, debugRegister(reg), 8);
      case 'V' -> new Operand(Kind.XMM, reg, 16);
      case 'W' -> register ? new Operand(Kind.XMM, rm, size) : new Operand(Kind.MEMORY, 0, size);
      case 'P' -> new Operand(Kind.MMX, reg & 7, 8);
      case 'Q' ->
          register ? new Operand(Kind.MMX, rm & 7, size) : new Operand(Kind.MEMORY, 0, size);
      case 'I' -> immediate(instruction, code.charAt(1), size);
      case 'J' -> {
        instruction.immediate =
            code.charAt(1) == 'b' ? (byte) next() : v == 2 ? (short) number(2) : (int) number(4);
        yield new Operand(Kind.RELATIVE, 0, v);
      }
      case 'O' -> {
        instruction.displacement = number(instruction.addressBytes);
        yield new Operand(Kind.MEMORY, 0, size);
      }
      case 'A' -> {
        instruction.immediate = number(Math.min(v, 4));
        instruction.immediate2 = (int) number(2);
        yield new Operand(Kind.FAR_POINTER, 0, v);
      }
      case 'X' -> register ? new Operand(Kind.IMMEDIATE, 0, 0) : new Operand(Kind.MEMORY, 0, 0);
      default -> throw new IllegalStateException("instruction table: no operand code " + code);
    };
  }

  private static boolean usesFullRegister(Instruction instruction) {
    return switch (instruction.operation) {
      case MOV_FROM_CONTROL, MOV_TO_CONTROL, MOV_FROM_DEBUG, MOV_TO_DEBUG -> true;
      default -> false;
    };
  }

  private static Operand general(int register, int size, int rex) {
    if (size == 1 && rex == 0 && register >= 4 && register < 8) {
      return new Operand(Kind.HIGH_BYTE, register - 4, 1);
    }
    return new Operand(Kind.GENERAL, register, size);
  }

  private static Operand segmentRegister(int register) {
    if (register > CpuState.GS) {
      throw DecodeException.UNDEFINED;
    }
    return new Operand(Kind.SEGMENT, register, 2);
  }

  private static int controlRegister(int register, Instruction instruction) {
    // LOCK MOV CR0 is AMD's way to CR8 outside 64-bit mode; we do not offer it.
    if (register != 0 && register != 2 && register != 3 && register != 4 && register != 8) {
      throw DecodeException.UNDEFINED;
    }
    if (instruction.modrm < 0) {
      throw DecodeException.UNDEFINED;
    }
    return register;
  }

  private static int debugRegister(int register) {
    if (register > 7) {
      throw DecodeException.UNDEFINED;
    }
    return register;
  }

  private static int size(Instruction instruction, char code) {
    int v = instruction.operandBytes;
    return switch (code) {
      case 'b', 's', '2' -> 1;
      case 'w' -> 2;
      case 'd' -> 4;
      case 'q' -> 8;
      case 'x' -> 16;
      case 'v' -> v;
      case 'z' -> Math.min(v, 4);
      case 'y' -> instruction.rexW() ? 8 : 4;
      case 'p' -> v;
      default -> throw new IllegalStateException("instruction table: no size code " + code);
    };
  }

  private Operand immediate(Instruction instruction, char code, int size) {
    switch (code) {
      case 'b', 's' -> instruction.immediate = (byte) next();
      case '2' -> instruction.immediate2 = next();
      case 'w' -> instruction.immediate = number(2);
      case 'z' -> instruction.immediate = size == 2 ? (short) number(2) : (int) number(4);
      case 'v' ->
          instruction.immediate =
              size == 8 ? number(8) : size == 4 ? (int) number(4) : (short) number(2);
      default -> throw new IllegalStateException("instruction table: no immediate I" + code);
    }
    return new Operand(Kind.IMMEDIATE, 0, size);
  }

  // ---- addresses
  // ----------------------------------------------------------------------------------------------------

  private void decodeAddress(Instruction instruction, boolean code64) {
    int mod = instruction.modrm >> 6;
    int rm = instruction.modrm & 7;
    if (instruction.addressBytes == 2) {
      decodeAddress16(instruction, mod, rm);
      return;
    }
    int rex = instruction.rex;
    boolean stack;
    if (rm == 4) {
      int sib = next();
      int index = (sib >> 3 & 7) | (rex & 2) << 2;
      int base = sib & 7;
      if (index != 4) {
        instruction.index = index;
        instruction.scaleShift = sib >> 6;
      }
      stack = base == 4 || (base == 5 && mod != 0);
      if (base == 5 && mod == 0) {
        instruction.displacement = (int) number(4);
      } else {
        instruction.base = base | (rex & 1) << 3;
      }
      stack &= (rex & 1) == 0;
    } else if (rm == 5 && mod == 0) {
      instruction.displacement = (int) number(4);
      instruction.ripRelative = code64;
      stack = false;
    } else {
      instruction.base = rm | (rex & 1) << 3;
      stack = instruction.base == 5;
    }
    if (mod == 1) {
      instruction.displacement = (byte) next();
    } else if (mod == 2) {
      instruction.displacement = (int) number(4);
    }
    if (stack && !instruction.segmentOverridden) {
      instruction.segment = CpuState.SS;
    }
  }

  private void decodeAddress16(Instruction instruction, int mod, int rm) {
    boolean stack = false;
    switch (rm) {
      case 0, 1, 7 -> instruction.base = CpuState.RBX;
      case 2, 3, 6 -> {
        stack = true;
        instruction.base = CpuState.RBP;
      }
      case 4 -> instruction.base = CpuState.RSI;
      case 5 -> instruction.base = CpuState.RDI;
      default -> throw new IllegalStateException();
    }
    if (rm == 0 || rm == 2) {
      instruction.index = CpuState.RSI;
    } else if (rm == 1 || rm == 3) {
      instruction.index = CpuState.RDI;
    }
    if (mod == 0 && rm == 6) {
      instruction.base = CpuState.ZERO_REGISTER;
      stack = false;
      instruction.displacement = (short) number(2);
    } else if (mod == 1) {
      instruction.displacement = (byte) next();
    } else if (mod == 2) {
      instruction.displacement = (short) number(2);
    }
    if (stack && !instruction.segmentOverridden) {
      instruction.segment = CpuState.SS;
    }
  }

  // ---- bytes
  // --------------------------------------------------------------------------------------------------------

  private int next() {
    if (position - start >= MAXIMUM_LENGTH) {
      throw DecodeException.TOO_LONG;
    }
    if (position >= limit) {
      throw DecodeException.TRUNCATED;
    }
    return code[position++] & 0xFF;
  }

  private long number(int bytes) {
    long value = 0;
    for (int i = 0; i < bytes; i++) {
      value |= (long) next() << 8 * i;
    }
    return value;
  }
}
