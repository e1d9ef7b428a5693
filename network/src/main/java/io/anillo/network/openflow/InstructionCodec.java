package io.anillo.network.openflow;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Instructions;
import java.util.List;

/** Instructions on the wire (OpenFlow 1.3.5 §7.2.5). */
public final class InstructionCodec {
  private InstructionCodec() {}

  private static FlowError bad(int code, String message) {
    return new FlowError(FlowError.BAD_INSTRUCTION, code, message);
  }

  public static Instructions read(WireReader reader) throws FlowError {
    int meter = 0;
    List<Action> apply = List.of();
    List<Action> write = List.of();
    boolean clear = false;
    long metadata = 0;
    long mask = 0;
    int next = -1;
    int seen = 0;
    while (reader.remaining() > 0) {
      if (reader.remaining() < 4) {
        throw bad(7, "half an instruction");
      }
      int type = reader.u16();
      int length = reader.u16();
      if (length < 8 || length % 8 != 0 || length - 4 > reader.remaining()) {
        throw bad(7, "instruction of " + length + " bytes");
      }
      WireReader body = reader.part(length - 4);
      if (type >= 1 && type <= 6) {
        int expected = type == 2 ? 24 : type == 1 || type == 6 ? 8 : length;
        if (length != expected) {
          throw bad(7, "instruction " + type + " of " + length + " bytes");
        }
        if ((seen & 1 << type) != 0) {
          throw bad(9, "instruction " + type + " twice");
        }
        seen |= 1 << type;
      }
      switch (type) {
        case 1 -> next = body.u8();
        case 2 -> {
          body.skip(4);
          metadata = body.u64();
          mask = body.u64();
        }
        case 3 -> write = ActionCodec.read(body.skip(4));
        case 4 -> apply = ActionCodec.read(body.skip(4));
        case 5 -> clear = true;
        case 6 -> meter = body.u32();
        case 0xffff -> throw bad(5, "experimenter instructions are not known");
        default -> throw bad(0, "instruction type " + type);
      }
    }
    return new Instructions(meter, apply, clear, write, metadata & mask, mask, next);
  }

  public static void write(WireWriter writer, Instructions instructions) {
    if (instructions.meter() != 0) {
      writer.u16(6).u16(8).u32(instructions.meter());
    }
    if (!instructions.apply().isEmpty()) {
      actions(writer, 4, instructions.apply());
    }
    if (instructions.clear()) {
      writer.u16(5).u16(8).zero(4);
    }
    if (!instructions.write().isEmpty()) {
      actions(writer, 3, instructions.write());
    }
    if (instructions.metadataMask() != 0) {
      writer.u16(2).u16(24).zero(4).u64(instructions.metadata()).u64(instructions.metadataMask());
    }
    if (instructions.gotoTable() >= 0) {
      writer.u16(1).u16(8).u8(instructions.gotoTable()).zero(3);
    }
  }

  private static void actions(WireWriter writer, int type, List<Action> actions) {
    int start = writer.length();
    writer.u16(type).u16(0).zero(4);
    ActionCodec.write(writer, actions);
    writer.patchU16(start + 2, writer.length() - start);
  }
}
