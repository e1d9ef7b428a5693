package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.List;

/** Refuses action lists that this switch cannot do, with the errors of OpenFlow 1.3.5 §7.4.4.3. */
class ActionCheck {
  private final Pipeline pipeline;
  private final long[] value;
  private final long[] mask;

  ActionCheck(Pipeline pipeline, Match match) {
    this.pipeline = pipeline;
    this.value = match.value().clone();
    this.mask = match.mask().clone();
  }

  /** Checks against packets of which nothing is known, as in groups. */
  static ActionCheck unknown(Pipeline pipeline) {
    return new ActionCheck(pipeline, Match.ANY) {
      @Override
      boolean allows(MatchField field) {
        return true;
      }
    };
  }

  boolean allows(MatchField field) {
    return field.allowedBy(value, mask);
  }

  void check(List<Action> actions) throws FlowError {
    for (Action action : actions) {
      check(action);
    }
  }

  private void check(Action action) throws FlowError {
    switch (action) {
      case Action.Output output -> checkPort(output.port());
      case Action.Group group -> {
        if (pipeline.group(group.group()) == null) {
          throw bad(9, "no group " + Integer.toUnsignedString(group.group()));
        }
      }
      case Action.SetField set -> {
        if (!set.field().settable()) {
          throw bad(13, set.field().label() + " cannot be set");
        }
        if (!allows(set.field())) {
          throw bad(10, set.field().label() + " is not in the packets that the flow matches");
        }
      }
      case Action.Move move -> {
        if (!move.to().settable()) {
          throw bad(13, move.to().label() + " cannot be set");
        }
        if (move.fromBit() + move.bits() > Math.min(64, move.from().bits())
            || move.toBit() + move.bits() > Math.min(64, move.to().bits())) {
          throw bad(5, "move beyond the end of a field");
        }
      }
      case Action.PushVlan push -> {
        if (push.etherType() != 0x8100 && push.etherType() != 0x88a8) {
          throw bad(5, "push-vlan of EtherType 0x" + Integer.toHexString(push.etherType()));
        }
        MatchField.VLAN_VID.set(value, 0, 0x1000);
        MatchField.VLAN_VID.set(mask, 0, 0x1000);
      }
      case Action.PushMpls push -> {
        if (push.etherType() != 0x8847 && push.etherType() != 0x8848) {
          throw bad(5, "push-mpls of EtherType 0x" + Integer.toHexString(push.etherType()));
        }
        setType(push.etherType());
      }
      case Action.PopMpls pop -> setType(pop.etherType());
      case Action.PushPbb push -> {
        if (push.etherType() != 0x88e7) {
          throw bad(5, "push-pbb of EtherType 0x" + Integer.toHexString(push.etherType()));
        }
        setType(0x88e7);
      }
      case Action.PopPbb pop -> MatchField.ETH_TYPE.set(mask, 0, 0);
      case Action.Track track -> ActionCheck.unknown(pipeline).checkInner(track.inner());
      case Action.Nat nat -> throw bad(5, "nat outside of ct");
      default -> {}
    }
  }

  private void checkInner(List<Action> inner) throws FlowError {
    for (Action action : inner) {
      boolean mark =
          action instanceof Action.SetField set
              && (set.field() == MatchField.CT_MARK || set.field() == MatchField.CT_LABEL);
      if (!mark && !(action instanceof Action.Nat) && !(action instanceof Action.Move)) {
        throw bad(5, "ct can hold only nat and changes of ct_mark and ct_label");
      }
    }
  }

  private void setType(int type) {
    MatchField.ETH_TYPE.set(value, 0, type);
    MatchField.ETH_TYPE.set(mask, 0, 0xffff);
    MatchField.IP_PROTO.set(mask, 0, 0);
  }

  private static void checkPort(int port) throws FlowError {
    boolean reserved = port == Ports.ANY;
    boolean beyond =
        Integer.compareUnsigned(port, Ports.MAXIMUM) > 0
            && Integer.compareUnsigned(port, Ports.IN_PORT) < 0;
    if (port == 0 || reserved || beyond) {
      throw bad(4, "output to port " + Ports.name(port));
    }
  }

  private static FlowError bad(int code, String message) {
    return new FlowError(FlowError.BAD_ACTION, code, message);
  }
}
