package io.anillo.network.agent;

import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.WireWriter;
import io.anillo.network.packet.MatchField;
import java.io.IOException;
import java.util.function.Predicate;

/**
 * What the switch can do: the constant answers of OpenFlow 1.3.5 §7.3.1, §7.3.5.5, §7.3.5.10 and
 * §7.3.5.14.
 */
final class Features {
  /** Flow, table, port, group and queue statistics. */
  static final int CAPABILITIES = 1 | 2 | 4 | 8 | 64;

  private static final int[] ACTIONS = {
    0, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27
  };
  private static final int ACTION_BITS = actionBits();

  private Features() {}

  private static int actionBits() {
    int bits = 0;
    for (int action : ACTIONS) {
      bits |= 1 << action;
    }
    return bits;
  }

  static WireWriter reply(VirtualSwitch owner) {
    return new WireWriter()
        .u64(owner.datapathId())
        .u32(PacketBuffers.COUNT)
        .u8(owner.tables())
        .u8(0)
        .zero(2)
        .u32(CAPABILITIES)
        .u32(0);
  }

  static void description(VirtualSwitch owner, Multipart reply) throws IOException {
    WireWriter writer = reply.entry();
    writer.text("Anillo", 256).text("a Java virtual machine", 256).text("VirtualSwitch 0.1", 256);
    writer.text("none", 32).text(owner.name(), 256);
    reply.finish();
  }

  static void groups(Multipart reply) throws IOException {
    WireWriter writer = reply.entry().u32(0xf).u32(1 | 2 | 4 | 8);
    for (int i = 0; i < 4; i++) {
      writer.u32(65_536);
    }
    for (int i = 0; i < 4; i++) {
      writer.u32(ACTION_BITS);
    }
    reply.finish();
  }

  static void meters(Multipart reply) throws IOException {
    reply.entry().u32(65_536).u32(1 << 1 | 1 << 2).u32(15).u8(16).u8(8).zero(2);
    reply.finish();
  }

  static void tables(VirtualSwitch owner, Multipart reply) throws IOException {
    for (int table = 0; table < owner.tables(); table++) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      writer
          .u16(0)
          .u8(table)
          .zero(5)
          .text("table" + table, 32)
          .u64(-1L)
          .u64(-1L)
          .u32(0)
          .u32(1_000_000);
      boolean last = table == owner.tables() - 1;
      for (int property = 0; property < 2; property++) {
        instructions(writer, property, last);
      }
      for (int property = 2; property < 4; property++) {
        nextTables(writer, property, table, owner.tables());
      }
      for (int property = 4; property < 8; property++) {
        actions(writer, property);
      }
      fields(writer, 8, f -> true, true);
      fields(writer, 10, f -> true, false);
      for (int property = 12; property < 16; property++) {
        fields(writer, property, MatchField::settable, false);
      }
      writer.patchU16(start, writer.length() - start);
    }
    reply.finish();
  }

  private static void instructions(WireWriter writer, int property, boolean last) {
    int start = writer.length();
    writer.u16(property).u16(0);
    for (int type = last ? 2 : 1; type <= 6; type++) {
      writer.u16(type).u16(4);
    }
    end(writer, start);
  }

  private static void nextTables(WireWriter writer, int property, int table, int tables) {
    int start = writer.length();
    writer.u16(property).u16(0);
    for (int next = table + 1; next < tables; next++) {
      writer.u8(next);
    }
    end(writer, start);
  }

  private static void actions(WireWriter writer, int property) {
    int start = writer.length();
    writer.u16(property).u16(0);
    for (int type : ACTIONS) {
      writer.u16(type).u16(4);
    }
    end(writer, start);
  }

  private static void fields(
      WireWriter writer, int property, Predicate<MatchField> wanted, boolean withMasks) {
    int start = writer.length();
    writer.u16(property).u16(0);
    for (MatchField field : MatchField.values()) {
      if (wanted.test(field)) {
        writer.u32(field.header(withMasks && field.maskable()));
      }
    }
    end(writer, start);
  }

  private static void end(WireWriter writer, int start) {
    writer.patchU16(start + 2, writer.length() - start);
    writer.padFrom(start);
  }
}
