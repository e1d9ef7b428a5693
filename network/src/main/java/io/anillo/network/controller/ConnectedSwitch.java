package io.anillo.network.controller;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.dataplane.TracedPath;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.ActionCodec;
import io.anillo.network.openflow.FlowCodec;
import io.anillo.network.openflow.InstructionCodec;
import io.anillo.network.openflow.MatchCodec;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.openflow.TraceMessage;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/**
 * A switch as the controller's applications see it. Its methods may be called from any thread but
 * block on none.
 */
public final class ConnectedSwitch {
  private static final int MAXIMUM_COMPLAINTS = 20;

  private final OpenFlowConnection connection;
  private final long datapathId;
  private final int tables;
  private final Map<Integer, PortDescription> ports = new ConcurrentSkipListMap<>();
  private final Map<Integer, CompletableFuture<Void>> barriers = new ConcurrentHashMap<>();
  private final Map<Integer, FlowRequest> flowRequests = new ConcurrentHashMap<>();
  private final Map<Integer, CompletableFuture<Map<Integer, PortCounters>>> counterRequests =
      new ConcurrentHashMap<>();
  private final Map<Integer, CompletableFuture<TracedPath>> traceRequests =
      new ConcurrentHashMap<>();
  private final AtomicInteger transactions = new AtomicInteger(0x100);
  private final AtomicInteger complaints = new AtomicInteger();
  private volatile boolean master = true;

  ConnectedSwitch(OpenFlowConnection connection, long datapathId, int tables) {
    this.connection = connection;
    this.datapathId = datapathId;
    this.tables = tables;
  }

  public long datapathId() {
    return datapathId;
  }

  public int tables() {
    return tables;
  }

  public Collection<PortDescription> ports() {
    return List.copyOf(ports.values());
  }

  public Optional<PortDescription> port(int number) {
    return Optional.ofNullable(ports.get(number));
  }

  void putPort(PortDescription port) {
    ports.put(port.number(), port);
  }

  void removePort(int number) {
    ports.remove(number);
  }

  /** Whether this controller may change the switch (OpenFlow 1.3.5 §6.3.6). */
  public boolean master() {
    return master;
  }

  void setMaster(boolean value) {
    master = value;
  }

  /** Notes that something is wrong with the switch; one that goes on like that fills no log. */
  void complain(String what) {
    System.Logger.Level level =
        complaints.incrementAndGet() <= MAXIMUM_COMPLAINTS
            ? System.Logger.Level.WARNING
            : System.Logger.Level.DEBUG;
    System.getLogger(ConnectedSwitch.class.getName()).log(level, () -> this + " " + what);
  }

  private boolean post(Message message) {
    try {
      connection.send(message);
      return true;
    } catch (IOException e) {
      // The reader of the same channel ends too, and tells the applications.
      return false;
    }
  }

  int nextTransaction() {
    return transactions.incrementAndGet();
  }

  boolean send(int type, WireWriter body) {
    return post(new Message(type, nextTransaction(), body));
  }

  public void modify(FlowModification change) {
    post(FlowCodec.writeFlowMod(nextTransaction(), change, FlowCodec.NO_BUFFER));
  }

  /**
   * Makes a group what it should be, whether it is there or not, without a moment in which its
   * flows have none: one of the two requests is refused, and that is no error.
   */
  public void putGroup(int id, Group.Type type, List<Group.Bucket> buckets) {
    post(FlowCodec.writeGroupMod(nextTransaction(), new FlowCodec.GroupMod(1, id, type, buckets)));
    post(FlowCodec.writeGroupMod(nextTransaction(), new FlowCodec.GroupMod(0, id, type, buckets)));
  }

  public void deleteGroup(int id) {
    post(
        FlowCodec.writeGroupMod(
            nextTransaction(), new FlowCodec.GroupMod(2, id, Group.Type.ALL, List.of())));
  }

  /** Makes a meter what it should be, as {@link #putGroup} does with a group. */
  public void putMeter(int id, int flags, List<Meter.Band> bands) {
    post(FlowCodec.writeMeterMod(nextTransaction(), new FlowCodec.MeterMod(1, flags, id, bands)));
    post(FlowCodec.writeMeterMod(nextTransaction(), new FlowCodec.MeterMod(0, flags, id, bands)));
  }

  public void deleteMeter(int id) {
    post(FlowCodec.writeMeterMod(nextTransaction(), new FlowCodec.MeterMod(2, 1, id, List.of())));
  }

  /** Sends a frame out as if it had come from {@code inPort}. */
  public void packetOut(byte[] frame, int inPort, Action... actions) {
    WireWriter encoded = new WireWriter();
    ActionCodec.write(encoded, List.of(actions));
    WireWriter body = new WireWriter().u32(FlowCodec.NO_BUFFER).u32(inPort).u16(encoded.length());
    body.zero(6).bytes(encoded.toByteArray()).bytes(frame);
    send(Message.PACKET_OUT, body);
  }

  /**
   * Asks for all flows whose cookie agrees in the masked bits; {@code done} gets them on the
   * session's thread.
   */
  public void requestFlows(long cookie, long mask, Consumer<List<FlowModification>> done) {
    int transaction = nextTransaction();
    flowRequests.put(transaction, new FlowRequest(new ArrayList<>(), done));
    WireWriter body = new WireWriter().u8(Ports.ALL_TABLES).zero(3).u32(Ports.ANY);
    body.u32(Ports.ANY_GROUP).zero(4).u64(cookie).u64(mask);
    MatchCodec.write(body, Match.ANY);
    post(Multipart.request(transaction, Multipart.FLOW, body.toByteArray()));
  }

  private record FlowRequest(List<FlowModification> flows, Consumer<List<FlowModification>> done) {}

  void readFlows(int transaction, WireReader reader, boolean more) throws FlowError {
    FlowRequest request = flowRequests.get(transaction);
    if (request == null) {
      return;
    }
    while (reader.remaining() > 0) {
      int length = reader.u16();
      if (length < 56) {
        throw new FlowError(FlowError.BAD_REQUEST, 6, "a flow of " + length + " bytes");
      }
      WireReader entry = reader.part(length - 2);
      int table = entry.u8();
      entry.skip(9);
      int priority = entry.u16();
      int idle = entry.u16();
      int hard = entry.u16();
      int flags = entry.u16();
      entry.skip(4);
      long cookie = entry.u64();
      entry.skip(16);
      Match match = MatchCodec.read(entry);
      request
          .flows()
          .add(
              FlowModification.add(table, priority, match, InstructionCodec.read(entry))
                  .withCookie(cookie)
                  .withTimeouts(idle, hard)
                  .withFlags(flags));
    }
    if (!more) {
      flowRequests.remove(transaction);
      request.done().accept(request.flows());
    }
  }

  /** Packets and bytes that a port has received and sent. */
  public record PortCounters(
      long receivedPackets, long sentPackets, long receivedBytes, long sentBytes) {}

  /**
   * Asks for the counters of all ports, by their numbers; empty when the switch does not answer in
   * time. Not to be called from an application's callback, as {@link #barrier}.
   */
  public Map<Integer, PortCounters> portCounters(long timeoutMillis) {
    int transaction = nextTransaction();
    CompletableFuture<Map<Integer, PortCounters>> done = new CompletableFuture<>();
    counterRequests.put(transaction, done);
    try {
      WireWriter body = new WireWriter().u32(Ports.ANY).zero(4);
      post(Multipart.request(transaction, Multipart.PORT_STATISTICS, body.toByteArray()));
      return done.get(timeoutMillis, TimeUnit.MILLISECONDS);
    } catch (TimeoutException | java.util.concurrent.ExecutionException e) {
      return Map.of();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Map.of();
    } finally {
      counterRequests.remove(transaction);
    }
  }

  void readPortCounters(int transaction, WireReader reader) throws FlowError {
    CompletableFuture<Map<Integer, PortCounters>> request = counterRequests.get(transaction);
    Map<Integer, PortCounters> counters = new TreeMap<>();
    while (reader.remaining() >= 112) {
      int number = reader.u32();
      reader.skip(4);
      counters.put(
          number, new PortCounters(reader.u64(), reader.u64(), reader.u64(), reader.u64()));
      reader.skip(72);
    }
    if (request != null) {
      request.complete(counters);
    }
  }

  /**
   * Asks what would happen to a packet; empty when the switch does not say in time, as switches
   * that are not ours. Not to be called from an application's callback, as {@link #barrier}.
   */
  public Optional<TracedPath> trace(TracedPath.Entry entry, long timeoutMillis) {
    int transaction = nextTransaction();
    CompletableFuture<TracedPath> done = new CompletableFuture<>();
    traceRequests.put(transaction, done);
    try {
      post(TraceMessage.request(transaction, entry));
      return Optional.of(done.get(timeoutMillis, TimeUnit.MILLISECONDS));
    } catch (TimeoutException | java.util.concurrent.ExecutionException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    } finally {
      traceRequests.remove(transaction);
    }
  }

  void traced(int transaction, TracedPath path) {
    CompletableFuture<TracedPath> done = traceRequests.get(transaction);
    if (done != null) {
      done.complete(path);
    }
  }

  void requestPorts() {
    post(Multipart.request(nextTransaction(), Multipart.PORT_DESCRIPTION, new byte[0]));
  }

  /**
   * Waits until the switch has done everything sent so far; false when it did not answer in time.
   * Not to be called from an application's callback, which holds up the thread that reads the
   * answer.
   */
  public boolean barrier(long timeoutMillis) {
    int transaction = nextTransaction();
    CompletableFuture<Void> done = new CompletableFuture<>();
    barriers.put(transaction, done);
    try {
      if (!post(new Message(Message.BARRIER_REQUEST, transaction, new byte[0]))) {
        return false;
      }
      done.get(timeoutMillis, TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException | java.util.concurrent.ExecutionException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    } finally {
      barriers.remove(transaction);
    }
  }

  void barrierDone(int transaction) {
    CompletableFuture<Void> done = barriers.get(transaction);
    if (done != null) {
      done.complete(null);
    }
  }

  void readPorts(WireReader reader) throws FlowError {
    while (reader.remaining() >= 64) {
      PortDescription port = PortDescription.read(reader);
      if (port.number() != Ports.LOCAL) {
        putPort(port);
      }
    }
  }

  void close() {
    connection.close();
  }

  @Override
  public String toString() {
    return "switch " + Long.toHexString(datapathId);
  }
}
