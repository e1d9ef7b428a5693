package io.anillo.vmm.x86.vector;

import static io.anillo.vmm.cpu.CpuState.RAX;
import static io.anillo.vmm.cpu.CpuState.RBP;
import static io.anillo.vmm.cpu.CpuState.RBX;
import static io.anillo.vmm.cpu.CpuState.RCX;
import static io.anillo.vmm.cpu.CpuState.RDI;
import static io.anillo.vmm.cpu.CpuState.RDX;
import static io.anillo.vmm.cpu.CpuState.RSI;
import static io.anillo.vmm.cpu.CpuState.RSP;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.FormCatalog.Form;
import io.anillo.vmm.x86.decode.Operation;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.EnumSet;
import java.util.Set;

/**
 * Makes cases for a form of the instruction table: prefixes, registers, addressing forms and
 * immediates at random, with registers set so that memory operands mostly lie in the data pages.
 */
final class CaseGenerator {
  static final int IMAGES = 8;

  /** What depends on more than the state of a case, or would leave it. */
  static final Set<Operation> EXCLUDED =
      EnumSet.of(
          Operation.SYSCALL,
          Operation.SYSRET,
          Operation.SYSENTER,
          Operation.SYSEXIT,
          Operation.CPUID,
          Operation.RDTSC,
          Operation.RDTSCP,
          Operation.RDPMC,
          Operation.RDRAND,
          Operation.RDSEED,
          Operation.XGETBV,
          Operation.XSAVE,
          Operation.XRSTOR,
          // Hypervisors report it with the RIP of a fault.
          Operation.INT1,
          Operation.VMCALL,
          Operation.VMMCALL,
          // Linux emulates these under UMIP.
          Operation.SGDT,
          Operation.SIDT,
          Operation.SLDT,
          Operation.STR,
          Operation.SMSW,
          // Segments and far transfers have recordings of their own.
          Operation.MOV_TO_SEGMENT,
          Operation.POP_SEGMENT,
          Operation.LES,
          Operation.LDS,
          Operation.LSS,
          Operation.LFS,
          Operation.LGS,
          Operation.CALL_FAR,
          Operation.JMP_FAR,
          Operation.CALL_FAR_INDIRECT,
          Operation.JMP_FAR_INDIRECT,
          Operation.RETF,
          Operation.IRET,
          Operation.LAR,
          Operation.LSL,
          Operation.VERR,
          Operation.VERW);

  private static final Set<Operation> STRINGS =
      EnumSet.of(Operation.MOVS, Operation.STOS, Operation.LODS, Operation.SCAS, Operation.CMPS);

  private final byte[][] images = new byte[IMAGES][];
  private final Randomness random;

  CaseGenerator(long seed) {
    random = new Randomness(seed);
    for (int i = 0; i < IMAGES; i++) {
      images[i] = InitialState.image(i);
    }
  }

  byte[] image(int number) {
    return images[number];
  }

  Randomness random() {
    return random;
  }

  static boolean isFloating(Form form) {
    if (form.operation() == Operation.X87 || form.operation() == Operation.FWAIT) {
      return true;
    }
    for (String operand : form.operands()) {
      if ("VWPQ".indexOf(operand.charAt(0)) >= 0) {
        return true;
      }
    }
    return switch (form.operation()) {
      case EMMS, FXSAVE, FXRSTOR, LDMXCSR, STMXCSR -> true;
      default -> false;
    };
  }

  /** Makes a case in the setup. The form must exist in its mode. */
  VectorCase make(Form form, int setup) {
    return make(form, setup, random.below(IMAGES));
  }

  VectorCase make(Form form, int setup, int image) {
    boolean floating = isFloating(form);
    VectorCase c =
        new VectorCase((int) random.next(), setup, image, floating ? VectorCase.FLOATING : 0);
    int stack = VectorLayout.segmentBase(setup, CpuState.SS) == 0 ? (int) VectorLayout.DATA : 0;
    int depth =
        random.oneIn(8)
            ? 0x1000 * random.below(4) + random.below(32) - 16
            : 0x800 + 8 * random.below(256);
    c.set(RSP, stack + depth & 0xFFFF_FFFFL);
    if (random.oneIn(24)) {
      c.set(RSP, random.next() & (c.segments().code64() ? -1L : 0xFFFF_FFFFL));
    }
    place(c);
    Encoding encoding = new Encoding(form, c);
    prepare(form, c, encoding);
    c.code = encoding.encode();
    boolean area =
        form.operation() == Operation.X87 && (form.opcode() == 0xD9 || form.opcode() == 0xDD);
    if (random.oneIn(40) && !area) {
      c.flags |= CpuState.AC;
    }
    return c;
  }

  private void place(VectorCase c) {
    long base = c.segments().codeBase() == 0 ? VectorLayout.CODE : 0;
    int at =
        switch (random.below(12)) {
          case 0 -> 0x1000 - 1 - random.below(10);
          case 1 -> 0x2000 - 1 - random.below(16);
          default -> random.below(0x1F00);
        };
    c.rip = base + at;
  }

  private void prepare(Form form, VectorCase c, Encoding encoding) {
    Operation operation = form.operation();
    if (STRINGS.contains(operation)) {
      prepareString(c, encoding);
      return;
    }
    switch (operation) {
      case ENTER, LEAVE -> {
        if (!random.oneIn(8)) {
          c.set(RBP, c.general[RSP] + 8L * random.below(32));
        }
      }
      case XLAT -> c.set(RBX, pointer(encoding, 256, CpuState.DS));
      case MASKMOVQ, MASKMOVDQU -> c.set(RDI, pointer(encoding, 16, CpuState.DS));
      case LOOP, LOOPE, LOOPNE, JCXZ -> {
        if (random.below(2) == 0) {
          c.set(RCX, random.below(3) | (random.oneIn(3) ? random.next() << 32 : 0));
        }
      }
      case DIV, IDIV -> {
        if (random.below(4) != 0) {
          long high =
              switch (random.below(3)) {
                case 0 -> 0;
                case 1 -> -1;
                default -> random.below(16);
              };
          c.set(RDX, narrow(c, high));
          if (random.below(2) == 0) {
            c.set(RAX, narrow(c, random.next() >> random.below(64)));
          }
        }
      }
      default -> {}
    }
    if (!c.segments().code64()) {
      for (int i = 0; i < 8; i++) {
        c.general[i] &= 0xFFFF_FFFFL;
      }
    }
  }

  private void prepareString(VectorCase c, Encoding encoding) {
    encoding.repeatable = true;
    c.set(RSI, pointer(encoding, 64, encoding.segment()));
    c.set(RDI, pointer(encoding, 64, CpuState.ES));
    int count = random.oneIn(6) ? random.below(2000) : random.below(20);
    c.set(RCX, count | (encoding.addressBytes() == 8 ? 0 : narrow(c, random.next() << 32)));
    if (random.oneIn(3)) {
      c.flags ^= 0x400;
    }
    if (random.oneIn(4)) {
      byte[] image = images[c.image];
      int at = random.below(VectorLayout.DATA_BYTES - 8);
      c.set(RAX, narrow(c, ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN).getLong(at)));
    }
    // Mostly one whole repetition; under single-step one iteration.
    if (!random.oneIn(4)) {
      c.flags &= ~CpuState.TF;
    }
  }

  private static long narrow(VectorCase c, long value) {
    return c.segments().code64() ? value : value & 0xFFFF_FFFFL;
  }

  /** The offset, in a segment, of a place that is mostly in the data pages. */
  private long pointer(Encoding encoding, int bytes, int segment) {
    VectorCase c = encoding.target;
    long offset =
        switch (random.below(20)) {
          case 0, 1 -> 0x1000 - random.below(Math.min(bytes, 16) + 8) + 3;
          case 2, 3 -> 0x2000 - random.below(Math.min(bytes, 16) + 8) + 3;
          case 4 -> 0x2000 + random.below(0x1000);
          case 5 -> 0x3000 - random.below(Math.min(bytes, 16) + 4) + 2;
          case 6 -> random.below(24) - 16;
          default -> 16 + random.below(0x1F80 - bytes);
        };
    long linear = VectorLayout.DATA + offset;
    if (encoding.aligned && !random.oneIn(6)) {
      linear &= -16;
    }
    if (random.oneIn(60)) {
      linear = random.next();
    }
    if (c.segments().code64()
        && encoding.addressBytes() == 8
        && offset < 0x2000
        && random.oneIn(4)) {
      linear += VectorLayout.DATA_ALIAS - VectorLayout.DATA;
    }
    long value = linear - VectorLayout.segmentBase(c.setup, segment);
    return switch (encoding.addressBytes()) {
      case 8 -> value;
      case 4 -> narrow(c, value & 0xFFFF_FFFFL | random.next() << 32);
      default -> narrow(c, value & 0xFFFF | random.next() << 16);
    };
  }

  /** The bytes of one instruction while its parts are chosen. */
  private final class Encoding {
    final Form form;
    final VectorCase target;
    final boolean aligned;
    boolean repeatable;
    private final boolean code64;
    private final boolean code16;
    private boolean operandPrefix;
    private boolean addressPrefix;
    private int segmentPrefix = -1;
    private boolean lock;
    private int rex;
    private int modrm = -1;
    private int sib = -1;
    private byte[] displacement = {};
    private boolean ripRelative;
    private long memoryOffset;

    Encoding(Form form, VectorCase target) {
      this.form = form;
      this.target = target;
      this.aligned =
          isFloating(form) && form.operation() != Operation.X87
              || form.operation() == Operation.CMPXCHG8B;
      this.code64 = target.segments().code64();
      this.code16 = target.segments().code16();
      operandPrefix =
          form.prefix() == 0x66
              || (form.prefix() == 0 && !isPaddedBy66() && random.oneIn(3))
              || (form.prefix() == 0xF2 && form.operation() == Operation.CRC32 && random.oneIn(4));
      addressPrefix = random.oneIn(8);
      if (random.oneIn(8)) {
        segmentPrefix = new int[] {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65}[random.below(6)];
      }
      if (code64 && random.below(3) != 0) {
        rex = 0x40 | random.below(16);
      }
      if (form.modrm()) {
        chooseModrm();
      }
      boolean memory = modrm >= 0 && modrm < 0xC0;
      // LOCK MOV CR0 is CR8 on AMD's processors, which anillo-v2 does not offer.
      boolean control =
          form.operation() == Operation.MOV_FROM_CONTROL
              || form.operation() == Operation.MOV_TO_CONTROL;
      lock = form.lockable() && memory ? random.oneIn(3) : !control && random.oneIn(200);
    }

    private boolean isPaddedBy66() {
      return isFloating(form) && form.operation() != Operation.X87;
    }

    int addressBytes() {
      if (code64) {
        return addressPrefix ? 4 : 8;
      }
      return code16 != addressPrefix ? 2 : 4;
    }

    int segment() {
      return switch (segmentPrefix) {
        case 0x64 -> CpuState.FS;
        case 0x65 -> CpuState.GS;
        case -1 -> CpuState.DS;
        default -> code64 ? CpuState.DS : segmentPrefix >> 3 & 3;
      };
    }

    private int operandBytes() {
      if (code64) {
        return (rex & 8) != 0 ? 8 : operandPrefix ? 2 : 4;
      }
      return code16 != operandPrefix ? 2 : 4;
    }

    private void chooseModrm() {
      modrm = random.below(256);
      if (form.exactModrm() >= 0) {
        modrm = form.exactModrm();
        return;
      }
      if (form.extension() >= 0) {
        modrm = modrm & 0xC7 | form.extension() << 3;
      }
      boolean register =
          form.memory() == 0 || (form.memory() < 0 && random.below(5) < 2 && !onlyMemory());
      if (register) {
        modrm |= 0xC0;
        return;
      }
      while (modrm >= 0xC0) {
        modrm = modrm & 0x3F | random.below(3) << 6;
      }
      if (form.operation() == Operation.MOV_FROM_CONTROL
          || form.operation() == Operation.MOV_TO_CONTROL
          || form.operation() == Operation.MOV_FROM_DEBUG
          || form.operation() == Operation.MOV_TO_DEBUG) {
        return;
      }
      chooseAddress();
    }

    private boolean onlyMemory() {
      for (String operand : form.operands()) {
        if (operand.charAt(0) == 'M') {
          return !random.oneIn(12);
        }
      }
      return false;
    }

    private void chooseAddress() {
      int mod = modrm >> 6;
      int rm = modrm & 7;
      int bytes = 16;
      if (addressBytes() == 2) {
        chooseAddress16(mod, rm);
        return;
      }
      int base = -1;
      int index = -1;
      int scale = 0;
      boolean word = mod == 2;
      if (rm == 4) {
        sib = random.below(256);
        scale = sib >> 6;
        index = sib >> 3 & 7 | (rex & 2) << 2;
        base = sib & 7 | (rex & 1) << 3;
        if (index == 4) {
          index = -1;
        }
        if ((sib & 7) == 5 && mod == 0) {
          base = -1;
          word = true;
        }
      } else if (rm == 5 && mod == 0) {
        word = true;
        ripRelative = code64;
      } else {
        base = rm | (rex & 1) << 3;
      }
      boolean stack = (base & 7) == 4 && base == 4 || base == 5;
      int segment =
          segmentPrefix < 0 || (code64 && segment() == CpuState.DS)
              ? stack ? CpuState.SS : CpuState.DS
              : segment();
      long offset = bitTestOffset(pointer(this, bytes, segment));
      memoryOffset = offset;
      long delta = 0;
      if (mod == 1) {
        displacement = new byte[] {(byte) random.next()};
        delta = displacement[0];
      } else if (word) {
        int value =
            base < 0 && index < 0 ? (int) offset : (int) (random.next() >> random.below(32));
        if (ripRelative) {
          value = 0; // known when the length is
        }
        displacement = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
        delta = value;
      }
      if (index >= 0 && base >= 0 && index != base) {
        if (random.below(2) == 0) {
          target.set(index, narrow(target, random.next() >> 40 + random.below(24)));
        }
        if (index == CpuState.RSP || base == CpuState.RSP) {
          target.overrides |= 1 << CpuState.RSP;
        }
        target.set(base, narrow(target, offset - delta - (target.general[index] << scale)));
      } else if (base >= 0) {
        long factor = index == base ? 1 + (1L << scale) : 1;
        target.set(base, narrow(target, (offset - delta) / factor));
      } else if (index >= 0) {
        target.set(index, narrow(target, (offset - delta) >> scale));
      }
    }

    private void chooseAddress16(int mod, int rm) {
      int base = new int[] {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX}[rm];
      int index = new int[] {RSI, RDI, RSI, RDI, -1, -1, -1, -1}[rm];
      boolean direct = mod == 0 && rm == 6;
      boolean stack = base == RBP && !direct;
      int segment = segmentPrefix < 0 ? stack ? CpuState.SS : CpuState.DS : segment();
      long offset = bitTestOffset(pointer(this, 16, segment));
      memoryOffset = offset;
      long delta = 0;
      if (mod == 1) {
        displacement = new byte[] {(byte) random.next()};
        delta = displacement[0];
      } else if (mod == 2 || direct) {
        short value = (short) (direct ? offset : random.next());
        displacement =
            ByteBuffer.allocate(2).order(ByteOrder.LITTLE_ENDIAN).putShort(value).array();
        delta = value;
      }
      if (!direct) {
        long rest = index >= 0 ? target.general[index] : 0;
        target.set(base, random.next() << 16 & 0xFFFF_0000L | offset - delta - rest & 0xFFFF);
      }
    }

    /** For bit tests with a register, sets it so that the bit lies in the pages too, mostly. */
    private long bitTestOffset(long offset) {
      switch (form.operation()) {
        case BT, BTS, BTR, BTC -> {
          if (form.operands().get(1).charAt(0) == 'G' && !random.oneIn(8)) {
            int register = modrm >> 3 & 7 | (rex & 4) << 1;
            long index = random.below(0x8000) - 0x4000;
            long high = operandBytes() == 8 ? 0 : random.next() << operandBytes() * 8;
            long mask = operandBytes() == 8 ? -1L : (1L << operandBytes() * 8) - 1;
            target.set(register, narrow(target, high | index & mask));
          }
          return offset;
        }
        case CMPXCHG, CMPXCHG8B -> {
          long linear = offset + VectorLayout.segmentBase(target.setup, segment());
          long at = linear - VectorLayout.DATA;
          if (at >= 0 && at < VectorLayout.DATA_BYTES - 16 && random.below(3) != 0) {
            ByteBuffer image = ByteBuffer.wrap(images[target.image]).order(ByteOrder.LITTLE_ENDIAN);
            long low = image.getLong((int) at);
            long high = image.getLong((int) at + 8);
            if (form.operation() == Operation.CMPXCHG8B) {
              boolean wide = (rex & 8) != 0;
              target.set(RAX, wide ? low : low & 0xFFFF_FFFFL);
              target.set(RDX, wide ? high : low >>> 32);
            } else {
              target.set(RAX, narrow(target, low));
            }
          }
          return offset;
        }
        default -> {
          return offset;
        }
      }
    }

    byte[] encode() {
      ByteBuffer out = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
      putPrefixes(out);
      if (rex != 0) {
        out.put((byte) rex);
      }
      if (form.map() != 0) {
        out.put((byte) 0x0F);
        if (form.map() >= 2) {
          out.put((byte) (form.map() == 2 ? 0x38 : 0x3A));
        }
      }
      out.put((byte) form.opcode());
      if (modrm >= 0) {
        out.put((byte) modrm);
        if (sib >= 0) {
          out.put((byte) sib);
        }
      }
      int at = out.position();
      out.put(displacement);
      for (String operand : form.operands()) {
        putImmediate(out, operand);
      }
      if (form.opcode() == 0xC8 && form.map() == 0 && !random.oneIn(6)) {
        // ENTER with more than a few locals leaves the pages.
        out.putShort(out.position() - 3, (short) random.below(64));
        out.put(out.position() - 1, (byte) (random.below(8) | random.below(8) << 5));
      }
      byte[] bytes = new byte[out.position()];
      out.get(0, bytes);
      if (ripRelative) {
        long segmentBase =
            segment() >= CpuState.FS ? VectorLayout.segmentBase(target.setup, segment()) : 0;
        long relative = memoryOffset - target.rip - bytes.length;
        if (relative != (int) relative) {
          relative = VectorLayout.DATA + random.below(0x2000) - target.rip - segmentBase;
        }
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(at, (int) relative);
      }
      return bytes;
    }

    private void putPrefixes(ByteBuffer out) {
      byte[] prefixes = new byte[8];
      int count = 0;
      if (operandPrefix) {
        prefixes[count++] = 0x66;
      }
      if (addressPrefix) {
        prefixes[count++] = 0x67;
      }
      if (segmentPrefix >= 0) {
        prefixes[count++] = (byte) segmentPrefix;
      }
      if (lock) {
        prefixes[count++] = (byte) 0xF0;
      }
      if (form.prefix() == 0xF2 || form.prefix() == 0xF3) {
        prefixes[count++] = (byte) form.prefix();
      } else if (repeatable ? random.below(3) != 0 : mayRepeat() && random.oneIn(24)) {
        prefixes[count++] = (byte) (0xF2 + random.below(2));
      }
      if (count > 0 && random.oneIn(12)) {
        prefixes[count++] = prefixes[0];
      }
      for (int i = count - 1; i > 0; i--) {
        int j = random.below(i + 1);
        byte swap = prefixes[i];
        prefixes[i] = prefixes[j];
        prefixes[j] = swap;
      }
      out.put(prefixes, 0, count);
    }

    /** Whether F2 and F3 do not make another instruction. */
    private boolean mayRepeat() {
      // F2 LOOPE tests another condition on some processors.
      return form.map() == 0 && form.prefix() == 0 && (form.opcode() & 0xFE) != 0xE0;
    }

    private void putImmediate(ByteBuffer out, String operand) {
      switch (operand.charAt(0)) {
        case 'I', 'J' -> {
          char size = operand.charAt(1);
          long value = InitialState.value(random);
          if (form.operation() == Operation.INT) {
            value = random.below(3) == 0 ? 3 + random.below(2) : random.below(0x80);
          }
          int bytes = operandBytes();
          switch (size) {
            case 'b', 's', '2' -> out.put((byte) value);
            case 'w' -> out.putShort((short) value);
            case 'z' -> {
              boolean forced = operand.charAt(0) == 'J' && code64;
              if (bytes == 2 && !forced) {
                out.putShort((short) value);
              } else {
                int near = (int) value;
                if (operand.charAt(0) == 'J' && random.below(2) == 0) {
                  near = random.below(0x1000) - 0x800;
                }
                out.putInt(near);
              }
            }
            default -> {
              if (bytes == 8) {
                out.putLong(value);
              } else if (bytes == 4) {
                out.putInt((int) value);
              } else {
                out.putShort((short) value);
              }
            }
          }
        }
        case 'O' -> {
          long offset = pointer(this, 8, segment());
          switch (addressBytes()) {
            case 8 -> out.putLong(offset);
            case 4 -> out.putInt((int) offset);
            default -> out.putShort((short) offset);
          }
        }
        default -> {}
      }
    }
  }
}
