package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;

/** A change of flow tables as OpenFlow 1.3.5 §7.3.4.1 describes it. */
public record FlowModification(
    Command command,
    int table,
    Match match,
    int priority,
    long cookie,
    long cookieMask,
    int idleSeconds,
    int hardSeconds,
    int outPort,
    int outGroup,
    int flags,
    Instructions instructions) {

  /** In the order of the numbers on the wire. */
  public enum Command {
    ADD,
    MODIFY,
    MODIFY_STRICT,
    DELETE,
    DELETE_STRICT
  }

  public static FlowModification add(
      int table, int priority, Match match, Instructions instructions) {
    return new FlowModification(
        Command.ADD,
        table,
        match,
        priority,
        0,
        0,
        0,
        0,
        Ports.ANY,
        Ports.ANY_GROUP,
        0,
        instructions);
  }

  public static FlowModification deleteAll() {
    return new FlowModification(
        Command.DELETE,
        Ports.ALL_TABLES,
        Match.ANY,
        0,
        0,
        0,
        0,
        0,
        Ports.ANY,
        Ports.ANY_GROUP,
        0,
        Instructions.DROP);
  }

  public FlowModification withCookie(long value) {
    return new FlowModification(
        command,
        table,
        match,
        priority,
        value,
        cookieMask,
        idleSeconds,
        hardSeconds,
        outPort,
        outGroup,
        flags,
        instructions);
  }

  public FlowModification withTimeouts(int idle, int hard) {
    return new FlowModification(
        command,
        table,
        match,
        priority,
        cookie,
        cookieMask,
        idle,
        hard,
        outPort,
        outGroup,
        flags,
        instructions);
  }

  public FlowModification withFlags(int value) {
    return new FlowModification(
        command,
        table,
        match,
        priority,
        cookie,
        cookieMask,
        idleSeconds,
        hardSeconds,
        outPort,
        outGroup,
        value,
        instructions);
  }

  public FlowModification withCommand(Command value) {
    return new FlowModification(
        value,
        table,
        match,
        priority,
        cookie,
        cookieMask,
        idleSeconds,
        hardSeconds,
        outPort,
        outGroup,
        flags,
        instructions);
  }

  /** Whether a present flow is one this modification or deletion speaks of. */
  boolean means(FlowEntry entry) {
    if ((entry.cookie() & cookieMask) != (cookie & cookieMask)) {
      return false;
    }
    return switch (command) {
      case ADD -> false;
      case MODIFY -> match.covers(entry.match());
      case MODIFY_STRICT -> strictly(entry);
      case DELETE -> match.covers(entry.match()) && leadsOut(entry);
      case DELETE_STRICT -> strictly(entry) && leadsOut(entry);
    };
  }

  private boolean strictly(FlowEntry entry) {
    return entry.priority() == priority && match.equals(entry.match());
  }

  private boolean leadsOut(FlowEntry entry) {
    return (outPort == Ports.ANY || refersTo(entry, new Action.Output(outPort), true))
        && (outGroup == Ports.ANY_GROUP || refersTo(entry, new Action.Group(outGroup), false));
  }

  /** Whether a flow's actions have this output (to any length) or group. */
  static boolean refersTo(FlowEntry entry, Action action, boolean output) {
    Instructions instructions = entry.instructions();
    return java.util.stream.Stream.concat(
            instructions.apply().stream(), instructions.write().stream())
        .anyMatch(present ->
            output
                ? present instanceof Action.Output p && p.port() == ((Action.Output) action).port()
                : present.equals(action));
  }
}
