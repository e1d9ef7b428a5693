package io.anillo.vmm.x86.vector;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/**
 * Recorded cases with their outcomes, gzipped. Initial states are seeds and what differs from them;
 * outcomes are what differs from the initial state. Numbers are 7 bits a byte, low first; signed
 * ones zigzag.
 */
final class VectorFile {
  private static final int MAGIC = 0x414E5643;

  /** Cases of one instruction form. */
  record Group(String name, List<Recorded> cases) {}

  /** A case and what a real processor made of it. */
  record Recorded(VectorCase vectorCase, VectorOutcome outcome) {}

  private VectorFile() {}

  static void write(OutputStream file, List<Group> groups) throws IOException {
    try (DataOutputStream out = new DataOutputStream(new GZIPOutputStream(file))) {
      out.writeInt(MAGIC);
      number(out, groups.size());
      for (Group group : groups) {
        byte[] name = group.name.getBytes(StandardCharsets.US_ASCII);
        number(out, name.length);
        out.write(name);
        number(out, group.cases.size());
        for (Recorded each : group.cases) {
          write(out, each.vectorCase);
          write(out, each.vectorCase, each.outcome);
        }
      }
    }
  }

  static List<Group> read(InputStream file) throws IOException {
    byte[] bytes;
    try (InputStream unzipped = new GZIPInputStream(file)) {
      bytes = unzipped.readAllBytes();
    }
    DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
    if (in.readInt() != MAGIC) {
      throw new IOException("not a file of vectors");
    }
    List<Group> groups = new ArrayList<>();
    for (long n = number(in); n > 0; n--) {
      String name = new String(in.readNBytes((int) number(in)), StandardCharsets.US_ASCII);
      List<Recorded> cases = new ArrayList<>();
      for (long m = number(in); m > 0; m--) {
        VectorCase c = readCase(in);
        cases.add(new Recorded(c, readOutcome(in, c)));
      }
      groups.add(new Group(name, cases));
    }
    return groups;
  }

  private static void write(DataOutputStream out, VectorCase c) throws IOException {
    out.writeInt(c.seed);
    out.writeByte(c.setup | c.options << 4);
    out.writeByte(c.image);
    number(out, c.rip - base(c));
    number(out, c.flags);
    number(out, c.code.length);
    out.write(c.code);
    number(out, c.overrides);
    for (int i = 0; i < 16; i++) {
      if ((c.overrides >> i & 1) != 0) {
        signed(out, c.general[i]);
      }
    }
  }

  private static VectorCase readCase(DataInputStream in) throws IOException {
    int seed = in.readInt();
    int kind = in.readUnsignedByte();
    VectorCase c = new VectorCase(seed, kind & 15, in.readUnsignedByte(), kind >> 4);
    c.rip = number(in) + base(c);
    c.flags = (int) number(in);
    c.code = in.readNBytes((int) number(in));
    c.overrides = (int) number(in);
    for (int i = 0; i < 16; i++) {
      if ((c.overrides >> i & 1) != 0) {
        c.general[i] = signed(in);
      }
    }
    return c;
  }

  private static long base(VectorCase c) {
    return c.segments().codeBase() == 0 ? VectorLayout.CODE : 0;
  }

  private static void write(DataOutputStream out, VectorCase c, VectorOutcome o)
      throws IOException {
    out.writeByte(o.vector);
    number(out, o.error);
    if (o.vector == 14) {
      signed(out, o.cr2);
    }
    signed(out, o.rip - c.rip);
    number(out, o.flags ^ c.flags);
    number(out, o.cs ^ c.segments().cs());
    number(out, o.ss ^ c.segments().ss());
    if (c.segments().code64()) {
      signed(out, o.fsBase - VectorLayout.FS_BASE);
      signed(out, o.gsBase - VectorLayout.GS_BASE);
    }
    int changed = 0;
    for (int i = 0; i < 16; i++) {
      changed |= o.general[i] != c.general[i] ? 1 << i : 0;
    }
    number(out, changed);
    for (int i = 0; i < 16; i++) {
      if ((changed >> i & 1) != 0) {
        signed(out, o.general[i] - c.general[i]);
      }
    }
    number(out, o.changes.size());
    int last = 0;
    for (var change : o.changes.entrySet()) {
      number(out, change.getKey() - last >> 3);
      signed(out, change.getValue());
      last = change.getKey();
    }
    if (c.floatingMatters()) {
      writeFloating(out, c.floating, o.floating);
    }
  }

  private static VectorOutcome readOutcome(DataInputStream in, VectorCase c) throws IOException {
    VectorOutcome o = new VectorOutcome();
    o.vector = in.readUnsignedByte();
    o.error = number(in);
    o.cr2 = o.vector == 14 ? signed(in) : 0;
    o.rip = signed(in) + c.rip;
    o.flags = number(in) ^ c.flags;
    o.cs = (int) number(in) ^ c.segments().cs();
    o.ss = (int) number(in) ^ c.segments().ss();
    if (c.segments().code64()) {
      o.fsBase = signed(in) + VectorLayout.FS_BASE;
      o.gsBase = signed(in) + VectorLayout.GS_BASE;
    }
    int changed = (int) number(in);
    for (int i = 0; i < 16; i++) {
      o.general[i] = c.general[i] + ((changed >> i & 1) != 0 ? signed(in) : 0);
    }
    int at = 0;
    for (long n = number(in); n > 0; n--) {
      at += (int) number(in) << 3;
      o.changes.put(at, signed(in));
    }
    if (c.floatingMatters()) {
      o.floating = readFloating(in, c.floating);
    }
    return o;
  }

  /** Pieces of eight bytes that differ, as a bit map and the pieces. */
  private static void writeFloating(DataOutputStream out, byte[] before, byte[] after)
      throws IOException {
    long map = 0;
    for (int i = 0; i < VectorCase.FLOATING_BYTES; i++) {
      map |= before[i] != after[i] ? 1L << i / 8 : 0;
    }
    number(out, map);
    for (int piece = 0; piece < VectorCase.FLOATING_BYTES / 8; piece++) {
      if ((map >> piece & 1) != 0) {
        out.write(after, piece * 8, 8);
      }
    }
  }

  private static byte[] readFloating(DataInputStream in, byte[] before) throws IOException {
    byte[] after = before.clone();
    long map = number(in);
    for (int piece = 0; piece < VectorCase.FLOATING_BYTES / 8; piece++) {
      if ((map >> piece & 1) != 0) {
        in.readFully(after, piece * 8, 8);
      }
    }
    return after;
  }

  private static void number(DataOutputStream out, long value) throws IOException {
    long rest = value;
    while ((rest & ~0x7FL) != 0) {
      out.writeByte((int) rest & 0x7F | 0x80);
      rest >>>= 7;
    }
    out.writeByte((int) rest);
  }

  private static long number(DataInputStream in) throws IOException {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      int piece = in.readUnsignedByte();
      value |= (long) (piece & 0x7F) << shift;
      if (piece < 0x80) {
        return value;
      }
    }
  }

  private static void signed(DataOutputStream out, long value) throws IOException {
    number(out, value << 1 ^ value >> 63);
  }

  private static long signed(DataInputStream in) throws IOException {
    long value = number(in);
    return value >>> 1 ^ -(value & 1);
  }
}
