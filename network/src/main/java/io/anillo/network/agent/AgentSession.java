package io.anillo.network.agent;

import io.anillo.network.dataplane.SwitchObserver;
import io.anillo.network.dataplane.SwitchPort;
import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.ActionCodec;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.network.openflow.Handshake;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.openflow.TraceMessage;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;
import io.anillo.network.packet.MatchField;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.util.List;

/**
 * One controller's channel: requests are answered in order on one thread, events are sent as they
 * come.
 */
final class AgentSession implements SwitchObserver {
  private static final int IDLE_MILLIS = 15_000;

  private final OpenFlowAgent agent;
  private final VirtualSwitch owner;
  private final OpenFlowConnection connection;
  private final Statistics statistics;
  private final AsyncFilter filter = new AsyncFilter();
  private volatile Role role = Role.EQUAL;
  private int missSendLength = 128;
  private int configurationFlags;
  private int transactions = 0x40000000;

  AgentSession(OpenFlowAgent agent, VirtualSwitch owner, OpenFlowConnection connection) {
    this.agent = agent;
    this.owner = owner;
    this.connection = connection;
    this.statistics = new Statistics(owner);
  }

  Role role() {
    return role;
  }

  void demote() {
    role = Role.SLAVE;
  }

  void close() {
    connection.close();
  }

  /** Serves the controller until the channel ends. */
  void run() throws IOException {
    connection.setReadTimeoutMillis(IDLE_MILLIS);
    Handshake.perform(connection);
    agent.opened(this);
    try {
      boolean waiting = false;
      while (true) {
        Message message;
        try {
          message = connection.read();
          waiting = false;
        } catch (SocketTimeoutException e) {
          if (waiting) {
            throw new IOException("controller " + connection.peer() + " is silent", e);
          }
          waiting = true;
          connection.send(new Message(Message.ECHO_REQUEST, ++transactions, new byte[0]));
          continue;
        }
        serve(message);
      }
    } finally {
      agent.closed(this);
      connection.close();
    }
  }

  private void serve(Message message) throws IOException {
    try {
      if (message.version() != Message.VERSION) {
        throw new FlowError(FlowError.BAD_REQUEST, 0, "message of version " + message.version());
      }
      if (role == Role.SLAVE && changesSwitch(message.type())) {
        throw new FlowError(FlowError.BAD_REQUEST, 10, "a slave may not change the switch");
      }
      handle(message);
    } catch (FlowError error) {
      System.getLogger(AgentSession.class.getName())
          .log(System.Logger.Level.DEBUG, () -> owner.name() + ": " + error.getMessage());
      connection.send(Message.error(message, error.type(), error.code()));
    }
  }

  private static boolean changesSwitch(int type) {
    return switch (type) {
      case Message.PACKET_OUT,
          Message.FLOW_MOD,
          Message.GROUP_MOD,
          Message.PORT_MOD,
          Message.TABLE_MOD,
          Message.METER_MOD ->
          true;
      default -> false;
    };
  }

  private void reply(Message request, int type, WireWriter body) throws IOException {
    connection.send(new Message(type, request.transaction(), body));
  }

  private void handle(Message message) throws FlowError, IOException {
    WireReader reader = message.reader();
    switch (message.type()) {
      case Message.HELLO, Message.ERROR, Message.ECHO_REPLY -> {}
      case Message.ECHO_REQUEST ->
          connection.send(new Message(Message.ECHO_REPLY, message.transaction(), message.body()));
      case Message.FEATURES_REQUEST ->
          reply(message, Message.FEATURES_REPLY, Features.reply(owner));
      case Message.GET_CONFIG_REQUEST ->
          reply(
              message,
              Message.GET_CONFIG_REPLY,
              new WireWriter().u16(configurationFlags).u16(missSendLength));
      case Message.SET_CONFIG -> {
        int flags = reader.u16();
        if ((flags & 3) != 0) {
          throw new FlowError(
              FlowError.SWITCH_CONFIG_FAILED, 0, "fragments are always passed on as they are");
        }
        configurationFlags = flags;
        missSendLength = reader.u16();
      }
      case Message.PACKET_OUT -> packetOut(reader);
      case Message.FLOW_MOD -> flowMod(reader);
      case Message.GROUP_MOD -> groupMod(reader);
      case Message.METER_MOD -> meterMod(reader);
      case Message.PORT_MOD -> portMod(reader);
      case Message.TABLE_MOD -> {
        int table = reader.u8();
        if (table != Ports.ALL_TABLES && table >= owner.tables()) {
          throw new FlowError(FlowError.TABLE_MOD_FAILED, 0, "no table " + table);
        }
      }
      case Message.MULTIPART_REQUEST -> multipart(message, reader);
      case Message.BARRIER_REQUEST -> reply(message, Message.BARRIER_REPLY, new WireWriter());
      case Message.QUEUE_CONFIG_REQUEST -> queueConfig(message, reader);
      case Message.ROLE_REQUEST -> roleRequest(message, reader);
      case Message.GET_ASYNC_REQUEST -> reply(message, Message.GET_ASYNC_REPLY, filter.write());
      case Message.SET_ASYNC -> filter.read(reader);
      case Message.EXPERIMENTER -> {
        TracedPath.Entry entry = TraceMessage.readRequest(reader);
        connection.send(TraceMessage.answer(message.transaction(), owner.trace(entry)));
      }
      default -> throw new FlowError(FlowError.BAD_REQUEST, 1, "message type " + message.type());
    }
  }

  private void packetOut(WireReader reader) throws FlowError {
    int buffer = reader.u32();
    int inPort = reader.u32();
    int actionBytes = reader.u16();
    reader.skip(6);
    if (inPort != Ports.CONTROLLER
        && inPort != Ports.LOCAL
        && (inPort == 0 || Integer.compareUnsigned(inPort, Ports.MAXIMUM) > 0)) {
      throw new FlowError(FlowError.BAD_REQUEST, 11, "packet-out from port " + Ports.name(inPort));
    }
    List<Action> actions = ActionCodec.read(reader.part(actionBytes));
    if (buffer == FlowCodec.NO_BUFFER) {
      owner.execute(reader.bytes(reader.remaining()), inPort, actions);
    } else {
      PacketBuffers.Kept kept = takeBuffer(buffer);
      owner.execute(kept.frame(), inPort, actions);
    }
  }

  private PacketBuffers.Kept takeBuffer(int buffer) throws FlowError {
    return agent
        .buffers()
        .take(buffer)
        .orElseThrow(() ->
            new FlowError(
                FlowError.BAD_REQUEST, 8, "no buffer " + Integer.toUnsignedString(buffer)));
  }

  private void flowMod(WireReader reader) throws FlowError {
    FlowCodec.FlowMod flowMod = FlowCodec.readFlowMod(reader);
    owner.modify(flowMod.modification());
    boolean deletes = flowMod.modification().command().ordinal() >= 3;
    if (flowMod.buffer() != FlowCodec.NO_BUFFER && !deletes) {
      PacketBuffers.Kept kept = takeBuffer(flowMod.buffer());
      owner.execute(kept.frame(), kept.inPort(), List.of(new Action.Output(Ports.TABLE)));
    }
  }

  private void groupMod(WireReader reader) throws FlowError {
    FlowCodec.GroupMod change = FlowCodec.readGroupMod(reader);
    switch (change.command()) {
      case 0 -> owner.addGroup(change.group(), change.type(), change.buckets());
      case 1 -> owner.modifyGroup(change.group(), change.type(), change.buckets());
      default -> owner.deleteGroup(change.group());
    }
  }

  private void meterMod(WireReader reader) throws FlowError {
    FlowCodec.MeterMod change = FlowCodec.readMeterMod(reader);
    if (change.command() == 2) {
      owner.deleteMeter(change.meter());
    } else {
      owner.putMeter(change.meter(), change.flags(), change.bands(), change.command() == 1);
    }
  }

  private void portMod(WireReader reader) throws FlowError {
    int number = reader.u32();
    reader.skip(4);
    long address = reader.unsigned(6);
    reader.skip(2);
    int bits = reader.u32();
    int mask = reader.u32();
    SwitchPort port =
        owner
            .port(number)
            .orElseThrow(
                () -> new FlowError(FlowError.PORT_MOD_FAILED, 0, "no port " + Ports.name(number)));
    if (address != port.address()) {
      throw new FlowError(FlowError.PORT_MOD_FAILED, 1, "port " + number + " has another address");
    }
    owner.configurePort(port, bits, mask);
  }

  private void multipart(Message message, WireReader reader) throws FlowError, IOException {
    int type = reader.u16();
    int flags = reader.u16();
    reader.skip(4);
    if ((flags & 1) != 0) {
      throw new FlowError(
          FlowError.BAD_REQUEST, 13, "requests in several parts are not needed here");
    }
    Multipart reply = new Multipart(connection::send, type, message.transaction());
    switch (type) {
      case Multipart.DESCRIPTION -> Features.description(owner, reply);
      case Multipart.FLOW -> statistics.flows(reader, reply);
      case Multipart.AGGREGATE -> statistics.aggregate(reader, reply);
      case Multipart.TABLE -> statistics.tables(reply);
      case Multipart.PORT_STATISTICS -> statistics.ports(reader, reply);
      case Multipart.QUEUE -> statistics.queues(reader, reply);
      case Multipart.GROUP -> statistics.groups(reader, reply);
      case Multipart.GROUP_DESCRIPTION -> statistics.groupDescriptions(reader, reply);
      case Multipart.GROUP_FEATURES -> Features.groups(reply);
      case Multipart.METER -> statistics.meters(reader, reply);
      case Multipart.METER_CONFIGURATION -> statistics.meterConfigurations(reader, reply);
      case Multipart.METER_FEATURES -> Features.meters(reply);
      case Multipart.TABLE_FEATURES -> {
        if (reader.remaining() > 0) {
          throw new FlowError(FlowError.TABLE_FEATURES_FAILED, 5, "the tables' features are fixed");
        }
        Features.tables(owner, reply);
      }
      case Multipart.PORT_DESCRIPTION -> {
        for (SwitchPort port : owner.ports()) {
          describe(port).write(reply.entry());
        }
        reply.finish();
      }
      case 0xffff ->
          throw new FlowError(FlowError.BAD_REQUEST, 3, "experimenter statistics are not known");
      default -> throw new FlowError(FlowError.BAD_REQUEST, 2, "multipart type " + type);
    }
  }

  static PortDescription describe(SwitchPort port) {
    int state = port.linkUp() ? 0 : PortDescription.LINK_DOWN;
    state |= port.live() ? PortDescription.LIVE : 0;
    return new PortDescription(
        port.number(), port.address(), port.name(), port.configuration(), state, 10_000_000);
  }

  private void queueConfig(Message message, WireReader reader) throws FlowError, IOException {
    int number = reader.u32();
    List<SwitchPort> ports =
        number == Ports.ANY
            ? owner.ports()
            : List.of(
                owner
                    .port(number)
                    .orElseThrow(() ->
                        new FlowError(
                            FlowError.QUEUE_OP_FAILED, 0, "no port " + Ports.name(number))));
    WireWriter writer = new WireWriter().u32(number).zero(4);
    for (SwitchPort port : ports) {
      for (var queue : owner.inspect(() -> List.copyOf(port.queues().entrySet()))) {
        long bits = queue.getValue().maximumBitsPerSecond();
        int length = bits > 0 ? 32 : 16;
        writer.u32(queue.getKey()).u32(port.number()).u16(length).zero(6);
        if (bits > 0) {
          // In tenths of a percent of the port's speed of 10 Gb/s (§7.2.2).
          int rate = Math.clamp(bits / 10_000_000L, 1, 1000);
          writer.u16(2).u16(16).zero(4).u16(rate).zero(6);
        }
      }
    }
    reply(message, Message.QUEUE_CONFIG_REPLY, writer);
  }

  private void roleRequest(Message message, WireReader reader) throws FlowError, IOException {
    int wanted = reader.u32();
    reader.skip(4);
    long generation = reader.u64();
    if (wanted < 0 || wanted > 3) {
      throw new FlowError(FlowError.ROLE_REQUEST_FAILED, 2, "role " + wanted);
    }
    Role next = Role.values()[wanted];
    if (next == Role.MASTER || next == Role.SLAVE) {
      agent.checkGeneration(generation);
    }
    if (next == Role.MASTER) {
      agent.demoteOthers(this);
    }
    if (next != Role.NO_CHANGE) {
      role = next;
    }
    reply(
        message,
        Message.ROLE_REPLY,
        new WireWriter().u32(role.ordinal()).zero(4).u64(agent.generation()));
  }

  // --- Events, under the switch's lock ---

  @Override
  public void packetIn(PacketIn packet) {
    if (!filter.packetIn(role, packet.reason().ordinal())) {
      return;
    }
    byte[] frame = packet.frame();
    int buffer = FlowCodec.NO_BUFFER;
    int sent = frame.length;
    if (packet.maximumLength() < frame.length) {
      sent = packet.maximumLength();
      buffer = agent.buffers().keep(frame, packet.inPort());
    }
    WireWriter writer = new WireWriter();
    writer.u32(buffer).u16(frame.length).u8(packet.reason().ordinal()).u8(packet.table());
    writer.u64(packet.cookie());
    Match.Builder match = Match.builder().set(MatchField.IN_PORT, packet.inPort() & 0xffffffffL);
    if (packet.inPhysicalPort() != packet.inPort()) {
      match.set(MatchField.IN_PHY_PORT, packet.inPhysicalPort() & 0xffffffffL);
    }
    if (packet.metadata() != 0) {
      match.set(MatchField.METADATA, packet.metadata());
    }
    if (packet.tunnel() != 0) {
      match.set(MatchField.TUNNEL_ID, packet.tunnel());
    }
    MatchCodec.write(writer, match.build());
    writer.zero(2).bytes(frame, 0, sent);
    connection.offer(new Message(Message.PACKET_IN, 0, writer));
  }

  @Override
  public void flowRemoved(FlowEntry entry, FlowTable.Removal reason) {
    if (!filter.flowRemoved(role, reason.ordinal())) {
      return;
    }
    WireWriter writer = new WireWriter();
    writer.u64(entry.cookie()).u16(entry.priority()).u8(reason.ordinal()).u8(entry.table());
    Statistics.duration(writer, owner.nowNanos() - entry.createdNanos());
    writer
        .u16(entry.idleSeconds())
        .u16(entry.hardSeconds())
        .u64(entry.packets())
        .u64(entry.bytes());
    MatchCodec.write(writer, entry.match());
    connection.offer(new Message(Message.FLOW_REMOVED, 0, writer));
  }

  @Override
  public void portChanged(SwitchPort port, PortChange change) {
    if (!filter.portStatus(role, change.ordinal())) {
      return;
    }
    WireWriter writer = new WireWriter().u8(change.ordinal()).zero(7);
    describe(port).write(writer);
    connection.offer(new Message(Message.PORT_STATUS, 0, writer));
  }

  @Override
  public String toString() {
    return "controller " + connection.peer() + " (" + role + ")";
  }
}
