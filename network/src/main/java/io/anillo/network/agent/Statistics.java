package io.anillo.network.agent;

import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.network.openflow.InstructionCodec;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/**
 * The answers to multipart requests about flows, ports, queues, groups and meters (OpenFlow 1.3.5
 * §7.3.5).
 */
final class Statistics {
  private static final long SECOND = 1_000_000_000L;

  private final VirtualSwitch owner;

  Statistics(VirtualSwitch owner) {
    this.owner = owner;
  }

  /** A flow as it was at one moment. */
  private record FlowSnapshot(
      FlowEntry entry, Instructions instructions, long packets, long bytes) {}

  /** The filter of flow and aggregate requests (§7.3.5.2). */
  private record FlowQuery(int table, Predicate<FlowEntry> filter) {
    static FlowQuery read(WireReader reader) throws FlowError {
      int table = reader.u8();
      reader.skip(3);
      int outPort = reader.u32();
      int outGroup = reader.u32();
      reader.skip(4);
      long cookie = reader.u64();
      long mask = reader.u64();
      Match match = MatchCodec.read(reader);
      Predicate<FlowEntry> filter =
          entry ->
              (entry.cookie() & mask) == (cookie & mask)
                  && match.covers(entry.match())
                  && leadsTo(entry, outPort, outGroup);
      return new FlowQuery(table, filter);
    }

    private static boolean leadsTo(FlowEntry entry, int port, int group) {
      if (port == Ports.ANY && group == Ports.ANY_GROUP) {
        return true;
      }
      List<Action> actions = new ArrayList<>(entry.instructions().apply());
      actions.addAll(entry.instructions().write());
      boolean toPort =
          port == Ports.ANY
              || actions.stream().anyMatch(a -> a instanceof Action.Output o && o.port() == port);
      boolean toGroup =
          group == Ports.ANY_GROUP
              || actions.stream().anyMatch(a -> a instanceof Action.Group g && g.group() == group);
      return toPort && toGroup;
    }
  }

  private List<FlowSnapshot> snapshot(FlowQuery query) throws FlowError {
    if (query.table() != Ports.ALL_TABLES && query.table() >= owner.tables()) {
      throw new FlowError(FlowError.BAD_REQUEST, 9, "no table " + query.table());
    }
    return owner.inspect(() -> {
      List<FlowSnapshot> flows = new ArrayList<>();
      int first = query.table() == Ports.ALL_TABLES ? 0 : query.table();
      int last = query.table() == Ports.ALL_TABLES ? owner.tables() - 1 : first;
      for (int table = first; table <= last; table++) {
        for (FlowEntry entry : owner.table(table).entries()) {
          if (query.filter().test(entry)) {
            flows.add(
                new FlowSnapshot(entry, entry.instructions(), entry.packets(), entry.bytes()));
          }
        }
      }
      return flows;
    });
  }

  void flows(WireReader request, Multipart reply) throws FlowError, IOException {
    long now = owner.nowNanos();
    for (FlowSnapshot flow : snapshot(FlowQuery.read(request))) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      FlowEntry entry = flow.entry();
      writer.u16(0).u8(entry.table()).zero(1);
      duration(writer, now - entry.createdNanos());
      writer
          .u16(entry.priority())
          .u16(entry.idleSeconds())
          .u16(entry.hardSeconds())
          .u16(entry.flags());
      writer.zero(4).u64(entry.cookie()).u64(flow.packets()).u64(flow.bytes());
      MatchCodec.write(writer, entry.match());
      InstructionCodec.write(writer, flow.instructions());
      writer.patchU16(start, writer.length() - start);
    }
    reply.finish();
  }

  void aggregate(WireReader request, Multipart reply) throws FlowError, IOException {
    List<FlowSnapshot> flows = snapshot(FlowQuery.read(request));
    long packets = flows.stream().mapToLong(FlowSnapshot::packets).sum();
    long bytes = flows.stream().mapToLong(FlowSnapshot::bytes).sum();
    reply.entry().u64(packets).u64(bytes).u32(flows.size()).zero(4);
    reply.finish();
  }

  void tables(Multipart reply) throws IOException {
    for (int table = 0; table < owner.tables(); table++) {
      int id = table;
      long[] counts =
          owner.inspect(() ->
              new long[] {
                owner.table(id).size(), owner.table(id).lookups(), owner.table(id).matched()
              });
      reply.entry().u8(table).zero(3).u32((int) counts[0]).u64(counts[1]).u64(counts[2]);
    }
    reply.finish();
  }

  static void duration(WireWriter writer, long nanos) {
    writer.u32((int) (nanos / SECOND)).u32((int) (nanos % SECOND));
  }

  private List<SwitchPort> ports(int number) throws FlowError {
    if (number == Ports.ANY) {
      return owner.ports();
    }
    return List.of(
        owner
            .port(number)
            .orElseThrow(
                () -> new FlowError(FlowError.BAD_REQUEST, 11, "no port " + Ports.name(number))));
  }

  void ports(WireReader request, Multipart reply) throws FlowError, IOException {
    long now = owner.nowNanos();
    for (SwitchPort port : ports(request.u32())) {
      WireWriter writer = reply.entry();
      owner.inspect(() -> {
        SwitchPort.Counters counters = port.counters();
        writer.u32(port.number()).zero(4);
        writer.u64(counters.receivedPackets).u64(counters.sentPackets);
        writer.u64(counters.receivedBytes).u64(counters.sentBytes);
        writer.u64(counters.receivedDrops).u64(counters.sentDrops);
        writer.u64(counters.receivedErrors).u64(0).u64(0).u64(0).u64(0).u64(0);
        duration(writer, now - port.createdNanos());
        return 0;
      });
    }
    reply.finish();
  }

  void queues(WireReader request, Multipart reply) throws FlowError, IOException {
    int number = request.u32();
    int queueId = request.u32();
    long now = owner.nowNanos();
    boolean found = false;
    for (SwitchPort port : ports(number)) {
      for (var queue : owner.inspect(() -> List.copyOf(port.queues().entrySet()))) {
        if (queueId != Ports.ALL_QUEUES && queueId != queue.getKey()) {
          continue;
        }
        found = true;
        SwitchPort.Queue counters = queue.getValue();
        WireWriter writer = reply.entry().u32(port.number()).u32(queue.getKey());
        writer.u64(counters.bytes).u64(counters.packets).u64(counters.errors);
        duration(writer, now - counters.createdNanos());
      }
    }
    if (!found && queueId != Ports.ALL_QUEUES) {
      throw new FlowError(FlowError.QUEUE_OP_FAILED, 1, "no queue " + queueId);
    }
    reply.finish();
  }

  private List<Group> groups(int id) {
    return owner.inspect(
        () -> owner.groups().stream().filter(g -> id == Ports.ALL_GROUPS || g.id() == id).toList());
  }

  void groups(WireReader request, Multipart reply) throws FlowError, IOException {
    long now = owner.nowNanos();
    for (Group group : groups(request.u32())) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      writer.u16(0).zero(2).u32(group.id()).u32(references(group.id())).zero(4);
      writer.u64(group.total().packets).u64(group.total().bytes);
      duration(writer, now - group.createdNanos());
      for (int i = 0; i < group.buckets().size(); i++) {
        writer.u64(group.counter(i).packets).u64(group.counter(i).bytes);
      }
      writer.patchU16(start, writer.length() - start);
    }
    reply.finish();
  }

  /** How many flows lead to a group. */
  private int references(int group) {
    Action action = new Action.Group(group);
    return owner.inspect(() -> {
      int count = 0;
      for (int table = 0; table < owner.tables(); table++) {
        for (FlowEntry entry : owner.table(table).entries()) {
          if (entry.instructions().apply().contains(action)
              || entry.instructions().write().contains(action)) {
            count++;
          }
        }
      }
      return count;
    });
  }

  void groupDescriptions(WireReader request, Multipart reply) throws FlowError, IOException {
    int id = request.remaining() >= 4 ? request.u32() : Ports.ALL_GROUPS;
    for (Group group : groups(id)) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      writer.u16(0).u8(group.type().ordinal()).zero(1).u32(group.id());
      FlowCodec.writeBuckets(writer, group.buckets());
      writer.patchU16(start, writer.length() - start);
    }
    reply.finish();
  }

  private List<Meter> meters(int id) throws FlowError {
    List<Meter> meters =
        owner.inspect(() ->
            owner.meters().stream().filter(m -> id == Ports.ALL_METERS || m.id() == id).toList());
    if (meters.isEmpty() && id != Ports.ALL_METERS) {
      throw new FlowError(
          FlowError.METER_MOD_FAILED, 3, "no meter " + Integer.toUnsignedString(id));
    }
    return meters;
  }

  void meters(WireReader request, Multipart reply) throws FlowError, IOException {
    long now = owner.nowNanos();
    for (Meter meter : meters(request.u32())) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      long users =
          owner.inspect(() -> {
            long count = 0;
            for (int table = 0; table < owner.tables(); table++) {
              for (FlowEntry entry : owner.table(table).entries()) {
                count += entry.instructions().meter() == meter.id() ? 1 : 0;
              }
            }
            return count;
          });
      writer
          .u32(meter.id())
          .u16(0)
          .zero(6)
          .u32((int) users)
          .u64(meter.packets())
          .u64(meter.bytes());
      duration(writer, now - meter.createdNanos());
      for (int i = 0; i < meter.bands().size(); i++) {
        writer.u64(meter.bandPackets(i)).u64(meter.bandBytes(i));
      }
      writer.patchU16(start + 4, writer.length() - start);
    }
    reply.finish();
  }

  void meterConfigurations(WireReader request, Multipart reply) throws FlowError, IOException {
    for (Meter meter : meters(request.u32())) {
      WireWriter writer = reply.entry();
      int start = writer.length();
      writer.u16(0).u16(meter.flags()).u32(meter.id());
      FlowCodec.writeBands(writer, meter.bands());
      writer.patchU16(start, writer.length() - start);
    }
    reply.finish();
  }
}
