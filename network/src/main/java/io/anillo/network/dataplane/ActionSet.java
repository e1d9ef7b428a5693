package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import java.util.List;
import java.util.TreeMap;

/**
 * The actions that wait for the pipeline's end, one of a kind, in the order of OpenFlow 1.3.5
 * §5.10.
 */
final class ActionSet {
  private static final int GROUP = 2000;
  private static final int OUTPUT = 3000;

  private final TreeMap<Integer, Action> actions = new TreeMap<>();

  void clear() {
    actions.clear();
  }

  void write(List<Action> added) {
    for (Action action : added) {
      actions.put(rank(action), action);
    }
  }

  /**
   * The actions to execute. Of group, output, resubmit and connection tracking the first that is
   * there takes the others' place, as in Open vSwitch; without any the packet is dropped.
   */
  List<Action> finish() {
    int last = actions.tailMap(GROUP).isEmpty() ? -1 : actions.tailMap(GROUP).firstKey();
    return last < 0 ? List.of() : List.copyOf(actions.headMap(last, true).values());
  }

  List<Action> all() {
    return List.copyOf(actions.values());
  }

  /** A bucket's actions in the order of an action set. */
  static List<Action> ordered(List<Action> bucket) {
    ActionSet set = new ActionSet();
    set.write(bucket);
    return set.finish();
  }

  private static int rank(Action action) {
    return switch (action) {
      case Action.CopyTtlIn a -> 0;
      case Action.PopVlan a -> 1;
      case Action.PopMpls a -> 2;
      case Action.PopPbb a -> 3;
      case Action.PushMpls a -> 4;
      case Action.PushPbb a -> 5;
      case Action.PushVlan a -> 6;
      case Action.CopyTtlOut a -> 7;
      case Action.DecrementMplsTtl a -> 8;
      case Action.DecrementNetworkTtl a -> 9;
      case Action.SetMplsTtl a -> 10;
      case Action.SetNetworkTtl a -> 11;
      case Action.SetField a -> 100 + a.field().ordinal();
      case Action.Move a -> 300 + a.to().ordinal();
      case Action.ClearTracking a -> 500;
      case Action.SetQueue a -> 1000;
      case Action.Nat a -> 1500;
      case Action.Group a -> GROUP;
      case Action.Output a -> OUTPUT;
      case Action.OutputField a -> OUTPUT;
      case Action.Resubmit a -> OUTPUT + 1;
      case Action.Track a -> OUTPUT + 2;
    };
  }
}
