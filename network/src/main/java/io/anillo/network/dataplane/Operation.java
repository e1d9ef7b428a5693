package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Meter;
import io.anillo.network.packet.HeaderEditor;
import io.anillo.network.packet.MatchField;
import io.anillo.network.packet.Packet;
import io.anillo.network.packet.TagEditor;

/** One step of a path, done to every packet that takes it. */
sealed interface Operation {

  /** Does the step; false ends the packet's way here. */
  boolean apply(Packet packet, Forwarding forwarding);

  /** Whether the step changes the packet for those after it. */
  default boolean modifies() {
    return true;
  }

  record Output(SwitchPort port) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.output(packet, port);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  /** FLOOD or ALL: every port but the one the packet came from. */
  record Flood() implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.flood(packet);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  record Normal() implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.normal(packet);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  record ToController(int maximumLength, SwitchObserver.Reason reason, int table, long cookie)
      implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.toController(packet, maximumLength, reason, table, cookie);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  record Set(Action.SetField action) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      HeaderEditor.set(
          packet, action.field(), action.high(), action.low(), action.maskHigh(), action.maskLow());
      return true;
    }
  }

  record Move(Action.Move action) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      long[] words = packet.key.words;
      long mask = action.bits() >= 64 ? -1L : (1L << action.bits()) - 1;
      long value = action.from().low(words) >>> action.fromBit() & mask;
      HeaderEditor.set(packet, action.to(), 0, value << action.toBit(), 0, mask << action.toBit());
      return true;
    }
  }

  /** The actions on tags and TTLs, which need nothing but the packet. */
  record Edit(Action action, int table, long cookie) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      return switch (action) {
        case Action.PushVlan a -> TagEditor.pushVlan(packet, a.etherType());
        case Action.PopVlan a -> TagEditor.popVlan(packet);
        case Action.PushMpls a -> TagEditor.pushMpls(packet, a.etherType());
        case Action.PopMpls a -> TagEditor.popMpls(packet, a.etherType());
        case Action.PushPbb a -> TagEditor.pushPbb(packet, a.etherType());
        case Action.PopPbb a -> TagEditor.popPbb(packet);
        case Action.CopyTtlIn a -> TagEditor.copyTtlIn(packet);
        case Action.CopyTtlOut a -> TagEditor.copyTtlOut(packet);
        case Action.SetMplsTtl a -> TagEditor.setMplsTtl(packet, a.ttl());
        case Action.SetNetworkTtl a -> TagEditor.setNetworkTtl(packet, a.ttl());
        case Action.DecrementMplsTtl a ->
            TagEditor.decrementMplsTtl(packet) || spent(packet, forwarding);
        case Action.DecrementNetworkTtl a ->
            TagEditor.decrementNetworkTtl(packet) || spent(packet, forwarding);
        default -> throw new IllegalStateException("no edit: " + action);
      };
    }

    private boolean spent(Packet packet, Forwarding forwarding) {
      forwarding.toController(
          packet, Action.Output.NO_BUFFER, SwitchObserver.Reason.INVALID_TTL, table, cookie);
      return false;
    }
  }

  record Queue(int queue) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      packet.queue = queue;
      return true;
    }
  }

  record Measure(Meter meter) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      return switch (meter.pass(packet.length(), forwarding.nowNanos)) {
        case PASS -> true;
        case DROP -> false;
        case REMARK -> {
          remark(packet, meter.precedence());
          yield true;
        }
      };
    }

    /**
     * Raises the drop precedence of an assured-forwarding class (RFC 2597), never beyond its
     * highest.
     */
    private static void remark(Packet packet, int by) {
      int service = (int) MatchField.IP_DSCP.low(packet.key.words);
      int precedence = service >>> 1 & 3;
      int raised = Math.min(3, precedence + by);
      if ((service & 1) == 0 && service >= 8 && precedence > 0 && raised != precedence) {
        HeaderEditor.set(packet, MatchField.IP_DSCP, 0, (service & ~6) | raised << 1, 0, 0x3f);
      }
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  record CreditGroup(Group group, int bucket) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      if (bucket < 0) {
        group.creditGroup(packet.length());
      } else {
        group.creditBucket(bucket, packet.length());
      }
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  /** Steps done to a copy, so that the packet goes on as it is. */
  record Copy(Operation[] steps) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      Packet copy = forwarding.borrow();
      if (copy == null) {
        return true;
      }
      copy.copyFrom(packet);
      for (Operation step : steps) {
        if (!step.apply(copy, forwarding)) {
          break;
        }
      }
      forwarding.release();
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  /** Goes on at a resume point with a freshly parsed key. */
  record Recirculate(int resumePoint) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.recirculate(packet, resumePoint);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  /** Passes the pipeline from its first table, as a packet-out to TABLE does. */
  record Submit() implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.recirculate(packet, 0);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  record OutputField(Action.OutputField action) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      long mask = (1L << action.bits()) - 1;
      long value = action.field().low(packet.key.words) >>> action.bit() & mask;
      forwarding.outputNumber(packet, (int) value);
      return true;
    }

    @Override
    public boolean modifies() {
      return false;
    }
  }

  /** Connection tracking; a copy goes on at {@code resumePoint} unless that is 0. */
  record Track(Action.Track action, int resumePoint) implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      forwarding.track(packet, action, resumePoint);
      return true;
    }
  }

  record ClearTracking() implements Operation {
    @Override
    public boolean apply(Packet packet, Forwarding forwarding) {
      ConnectionTracker.clear(packet);
      return true;
    }
  }
}
