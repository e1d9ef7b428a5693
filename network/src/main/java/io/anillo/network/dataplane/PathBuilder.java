package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Walks the tables for one flow key and writes down what is to be done to every packet with the
 * same examined bits.
 *
 * <p>Invariant: the path depends on nothing but the examined bits of the key, the tables'
 * generation and what its operations read when they run. Where an action shows or hides headers
 * that the key cannot tell, the walk ends in a recirculation: the packet is parsed again and looked
 * up under the resume point's number.
 */
final class PathBuilder {
  private static final int MAXIMUM_OPERATIONS = 4096;
  private static final int MAXIMUM_DEPTH = 64;

  /** Told each decision, for people; does nothing on the forwarding path. */
  @FunctionalInterface
  interface Narrator {
    void say(int depth, Supplier<String> text);
  }

  private static final Narrator SILENT = (depth, text) -> {};
  private static final FlowTable[] NONE = {};

  private final Pipeline pipeline;
  private final Narrator narrator;
  private final FlowKey key = new FlowKey();
  private final long[] examined = new long[FlowKey.WORDS];
  private final List<FlowEntry> entries = new ArrayList<>();
  private final List<FlowTable> tables = new ArrayList<>();
  private final List<FlowTable> silent = new ArrayList<>();
  private final FlowKey original = new FlowKey();
  private final ActionSet actionSet = new ActionSet();
  private boolean opaque;
  private boolean missed;

  /** A bit for each word of the key that was not the packet's own when a table was looked up. */
  private int changed;

  private int operations;
  private int depth;
  private int table;
  private @Nullable FlowEntry current;

  PathBuilder(Pipeline pipeline, @Nullable Narrator narrator) {
    this.pipeline = pipeline;
    this.narrator = narrator == null ? SILENT : narrator;
  }

  CachedPath build(FlowKey start) {
    key.copyFrom(start);
    original.copyFrom(start);
    examined[FlowKey.PORT] |= 0xffffffff00000000L;
    examined[FlowKey.CT_ZONE] |= 0xffffffffL;
    examined[FlowKey.DESTINATION] |= 0xffffL;
    List<Operation> steps = new ArrayList<>();
    if (pipeline.flowsIgnored()) {
      narrator.say(depth, () -> "no controller: every flow is ignored");
      translate(List.of(new Action.Output(Ports.NORMAL)), steps);
      return finish(steps);
    }
    ResumePoint resume = pipeline.resumePoint(start.recirculation());
    actionSet.write(resume.actionSet());
    visit(resume.table(), steps);
    return finish(steps);
  }

  /** The path of an action list that no flow holds, as a packet-out brings it. */
  CachedPath buildActions(FlowKey start, List<Action> actions) {
    key.copyFrom(start);
    List<Operation> steps = new ArrayList<>();
    translate(actions, steps);
    return finish(steps);
  }

  private CachedPath finish(List<Operation> steps) {
    return new CachedPath(
        steps.toArray(Operation[]::new),
        entries.toArray(FlowEntry[]::new),
        pipeline.visits(tables),
        silent.isEmpty() ? NONE : silent.toArray(FlowTable[]::new),
        missed,
        changed,
        examined.clone());
  }

  private void visit(int first, List<Operation> steps) {
    int next = first;
    while (next >= 0) {
      if (opaque) {
        int resumed = next;
        narrator.say(depth, () -> "headers changed: looked up again in table " + resumed);
        steps.add(new Operation.Recirculate(pipeline.resumeAt(next, actionSet.all())));
        return;
      }
      table = next;
      next = visitTable(steps);
    }
    List<Action> actions = actionSet.finish();
    if (!actions.isEmpty()) {
      narrator.say(depth, () -> "action set");
      translate(actions, steps);
    }
  }

  /** Looks the key up in {@link #table}; the next table, or -1 when the pipeline ends. */
  private int visitTable(List<Operation> steps) {
    FlowTable flows = pipeline.table(table);
    tables.add(flows);
    for (int i = 0; i < FlowKey.WORDS; i++) {
      changed |= key.words[i] == original.words[i] ? 0 : 1 << i;
    }
    FlowEntry entry = flows.lookup(key.words, examined);
    if (entry == null) {
      missed = true;
      silent.add(flows);
      actionSet.clear();
      narrator.say(depth, () -> "table " + table + ": no match, drop");
      return -1;
    }
    entries.add(entry);
    current = entry;
    narrator.say(
        depth,
        () ->
            "table "
                + table
                + ": priority "
                + entry.priority()
                + ", "
                + entry.match()
                + ", cookie 0x"
                + Long.toHexString(entry.cookie()));
    Instructions instructions = entry.instructions();
    if (instructions.meter() != 0) {
      Meter meter = pipeline.meter(instructions.meter());
      if (meter != null) {
        narrator.say(depth + 1, () -> "meter " + meter.id());
        steps.add(new Operation.Measure(meter));
        // Whether a packet is remarked is known only once it passes: what follows looks again.
        opaque |= meter.remarks();
      }
    }
    translate(instructions.apply(), steps);
    if (instructions.clear()) {
      actionSet.clear();
    }
    actionSet.write(instructions.write());
    if (instructions.metadataMask() != 0) {
      Action.SetField store =
          new Action.SetField(
              MatchField.METADATA, 0, instructions.metadata(), 0, instructions.metadataMask());
      narrator.say(depth + 1, () -> "metadata " + Long.toHexString(instructions.metadata()));
      setField(store, steps);
    }
    return instructions.gotoTable();
  }

  private void translate(List<Action> actions, List<Operation> steps) {
    if (++depth > MAXIMUM_DEPTH) {
      narrator.say(depth, () -> "too deep, dropped");
      depth--;
      return;
    }
    for (Action action : actions) {
      if (++operations > MAXIMUM_OPERATIONS) {
        narrator.say(depth, () -> "too many actions, the rest is dropped");
        break;
      }
      translate(action, steps);
    }
    depth--;
  }

  private void translate(Action action, List<Operation> steps) {
    narrator.say(depth, action::toString);
    switch (action) {
      case Action.Output output -> output(output, steps);
      case Action.Group group -> group(group.group(), steps);
      case Action.SetQueue queue -> steps.add(new Operation.Queue(queue.queue()));
      case Action.SetField set -> setField(set, steps);
      case Action.Move move -> {
        examine(move.from());
        long mask = move.bits() >= 64 ? -1L : (1L << move.bits()) - 1;
        long value = move.from().low(key.words) >>> move.fromBit() & mask;
        long old = move.to().low(key.words) & ~(mask << move.toBit());
        move.to().set(key.words, move.to().high(key.words), old | value << move.toBit());
        steps.add(new Operation.Move(move));
      }
      case Action.PushVlan push -> {
        edit(push, steps);
        examined[FlowKey.LABELS] |= FlowKey.TAGS_MASK;
        if (key.tags() == 0) {
          key.words[FlowKey.SOURCE] |= 0x1000 << 3;
        }
        setTags(key.tags() + 1);
      }
      case Action.PopVlan pop -> {
        edit(pop, steps);
        examined[FlowKey.LABELS] |= FlowKey.TAGS_MASK;
        if (key.tags() > 1) {
          opaque = true;
        } else {
          key.words[FlowKey.SOURCE] &= ~0xffffL;
          setTags(0);
        }
      }
      case Action.PushMpls push -> {
        edit(push, steps);
        opaque = true;
      }
      case Action.PopMpls pop -> {
        edit(pop, steps);
        opaque = true;
      }
      case Action.PushPbb push -> {
        edit(push, steps);
        opaque = true;
      }
      case Action.PopPbb pop -> {
        edit(pop, steps);
        opaque = true;
      }
      case Action.CopyTtlIn edit -> edit(edit, steps);
      case Action.CopyTtlOut edit -> edit(edit, steps);
      case Action.SetMplsTtl edit -> edit(edit, steps);
      case Action.SetNetworkTtl edit -> {
        edit(edit, steps);
        MatchField.NW_TTL.set(key.words, 0, edit.ttl());
      }
      case Action.DecrementMplsTtl edit -> edit(edit, steps);
      case Action.DecrementNetworkTtl edit -> {
        edit(edit, steps);
        long ttl = MatchField.NW_TTL.low(key.words);
        MatchField.NW_TTL.set(key.words, 0, Math.max(0, ttl - 1));
      }
      case Action.Resubmit resubmit -> resubmit(resubmit, steps);
      case Action.OutputField output -> steps.add(new Operation.OutputField(output));
      case Action.Track track -> {
        int resume =
            track.table() == Action.Track.NO_TABLE
                ? 0
                : pipeline.resumeAt(track.table(), actionSet.all());
        steps.add(new Operation.Track(track, resume));
      }
      case Action.ClearTracking clear -> {
        steps.add(new Operation.ClearTracking());
        ConnectionTracker.clear(key);
      }
      case Action.Nat nat -> throw new IllegalStateException("nat belongs inside of ct");
    }
  }

  private void setTags(int tags) {
    key.words[FlowKey.LABELS] =
        (key.words[FlowKey.LABELS] & ~FlowKey.TAGS_MASK) | (long) Math.min(7, tags) << 8;
  }

  private void edit(Action action, List<Operation> steps) {
    FlowEntry entry = current;
    steps.add(new Operation.Edit(action, table, entry == null ? -1L : entry.cookie()));
  }

  private void setField(Action.SetField set, List<Operation> steps) {
    MatchField field = set.field();
    if (field == MatchField.VLAN_VID || field == MatchField.VLAN_PCP) {
      examined[FlowKey.LABELS] |= FlowKey.TAGS_MASK;
      if (key.tags() == 0) {
        return;
      }
    }
    long low = (field.low(key.words) & ~set.maskLow()) | (set.low() & set.maskLow());
    long high = (field.high(key.words) & ~set.maskHigh()) | (set.high() & set.maskHigh());
    if (!set.whole()) {
      examine(field);
    }
    field.set(key.words, high, low);
    steps.add(new Operation.Set(set));
  }

  private void examine(MatchField field) {
    field.set(examined, -1L, -1L);
  }

  private void output(Action.Output output, List<Operation> steps) {
    int port = output.port();
    FlowEntry entry = current;
    switch (port) {
      case Ports.IN_PORT -> {
        SwitchPort in = pipeline.port(key.inPort());
        if (in != null) {
          steps.add(pipeline.output(in));
        }
      }
      case Ports.TABLE -> steps.add(new Operation.Submit());
      case Ports.NORMAL -> steps.add(new Operation.Normal());
      case Ports.FLOOD, Ports.ALL -> steps.add(new Operation.Flood());
      case Ports.CONTROLLER -> {
        boolean miss = entry != null && entry.isTableMiss();
        SwitchObserver.Reason reason =
            miss ? SwitchObserver.Reason.NO_MATCH : SwitchObserver.Reason.ACTION;
        long cookie = entry == null ? -1L : entry.cookie();
        steps.add(new Operation.ToController(output.maximumLength(), reason, table, cookie));
      }
      default -> {
        SwitchPort target = pipeline.port(port);
        if (target == null) {
          narrator.say(depth + 1, () -> "no such port, dropped");
        } else if (port == key.inPort()) {
          narrator.say(depth + 1, () -> "the port it came from, dropped");
        } else {
          steps.add(pipeline.output(target));
        }
      }
    }
  }

  private void resubmit(Action.Resubmit resubmit, List<Operation> steps) {
    int target = resubmit.table() == 255 ? table : resubmit.table();
    if (opaque) {
      steps.add(new Operation.Recirculate(pipeline.resumeAt(target, List.of())));
      return;
    }
    if (++depth > MAXIMUM_DEPTH) {
      narrator.say(depth, () -> "too deep, dropped");
      depth--;
      return;
    }
    int inPort = key.inPort();
    int from = table;
    FlowEntry entry = current;
    if (resubmit.port() != Ports.IN_PORT) {
      MatchField.IN_PORT.set(key.words, 0, resubmit.port() & 0xffffffffL);
    }
    table = target;
    int next = visitTable(steps);
    while (next >= 0 && !opaque) {
      table = next;
      next = visitTable(steps);
    }
    MatchField.IN_PORT.set(key.words, 0, inPort & 0xffffffffL);
    table = from;
    current = entry;
    missed = false;
    depth--;
  }

  private void group(int id, List<Operation> steps) {
    Group group = pipeline.group(id);
    if (group == null) {
      return;
    }
    steps.add(new Operation.CreditGroup(group, -1));
    List<Group.Bucket> buckets = group.buckets();
    switch (group.type()) {
      case ALL -> {
        for (int i = 0; i < buckets.size(); i++) {
          bucket(group, i, steps);
        }
      }
      case INDIRECT -> bucket(group, 0, steps);
      case SELECT -> {
        examineFlow();
        int chosen = BucketChoice.select(buckets, key, pipeline);
        if (chosen >= 0) {
          bucket(group, chosen, steps);
        }
      }
      case FAST_FAILOVER -> {
        int live = BucketChoice.firstLive(buckets, pipeline);
        if (live >= 0) {
          bucket(group, live, steps);
        }
      }
    }
  }

  /** Marks what identifies a transport flow, by which select groups spread their load. */
  private void examineFlow() {
    examined[FlowKey.DESTINATION] = -1L;
    examined[FlowKey.SOURCE] |= ~0xffffL;
    examined[FlowKey.TRANSPORT] |= 0xffffffffff000000L;
    examined[FlowKey.IPV4] = -1L;
    for (int i = 0; i < 4; i++) {
      examined[FlowKey.IPV6_SOURCE + i] = -1L;
    }
  }

  private void bucket(Group group, int index, List<Operation> steps) {
    narrator.say(depth + 1, () -> "group " + group.id() + " bucket " + index);
    FlowKey before = new FlowKey();
    before.copyFrom(key);
    boolean opaqueBefore = opaque;
    List<Operation> inner = new ArrayList<>();
    inner.add(new Operation.CreditGroup(group, index));
    translate(ActionSet.ordered(group.buckets().get(index).actions()), inner);
    key.copyFrom(before);
    opaque = opaqueBefore;
    if (inner.stream().anyMatch(Operation::modifies)) {
      steps.add(new Operation.Copy(inner.toArray(Operation[]::new)));
    } else {
      steps.addAll(inner);
    }
  }
}
