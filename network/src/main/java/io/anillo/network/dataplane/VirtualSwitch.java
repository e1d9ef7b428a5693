package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.FlowTable;
import io.anillo.network.flow.Group;
import io.anillo.network.flow.Meter;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.Packet;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A programmable Ethernet switch: frames come in at ports, the flow tables decide, and frames leave
 * by ports.
 *
 * <p>One lock guards everything. A frame is forwarded on the thread that brings it, from its
 * arrival to the wires of the ports it leaves by; what would call back into a switch (a patch to
 * another one) waits until the lock is free. A new switch has no flows and drops everything.
 *
 * <p>Hot: {@link #receive} allocates nothing while the flow cache knows the packet; watched by
 * {@code anillo bench network}.
 */
public final class VirtualSwitch implements AutoCloseable {
  private static final int DEFERRED_MAXIMUM = 1024;

  private final String name;
  private final long datapathId;
  private final Clock clock;
  private final ReentrantLock lock = new ReentrantLock();
  private final Pipeline pipeline = new Pipeline();
  private final FlowCache cache = new FlowCache();
  private final AddressTable addresses = new AddressTable();
  private final ConnectionTracker connections = new ConnectionTracker();
  private final List<SwitchObserver> observers = new CopyOnWriteArrayList<>();
  private final ArrayDeque<Runnable> deferred = new ArrayDeque<>();
  private final PacketBurst burst = new PacketBurst();
  private final Engine engine = new Engine();
  private final FlowProgram program;
  private FrameTap[] taps = new FrameTap[0];
  private volatile boolean closed;

  public VirtualSwitch(String name, long datapathId, Clock clock) {
    this.name = name;
    this.datapathId = datapathId;
    this.clock = clock;
    this.program = new FlowProgram(pipeline, cache, observers);
    Thread.ofVirtual().name("expiry of " + name).start(this::expireEverySecond);
  }

  public String name() {
    return name;
  }

  /** The 64-bit identity that controllers know the switch by. */
  public long datapathId() {
    return datapathId;
  }

  public long nowNanos() {
    return clock.monotonicNanos();
  }

  // --- Ports ---

  /** Adds a port with the next free number. */
  public SwitchPort addPort(String portName, PortWire wire) {
    lock.lock();
    try {
      int number = 1;
      while (pipeline.ports.containsKey(number)) {
        number++;
      }
      return addPort(number, portName, wire);
    } finally {
      lock.unlock();
    }
  }

  /** Adds a port; {@link Ports#LOCAL} and the numbers from 1 on are allowed. */
  public SwitchPort addPort(int number, String portName, PortWire wire) {
    lock.lock();
    try {
      if (pipeline.ports.containsKey(number) || number == 0) {
        throw new IllegalArgumentException(
            "port " + Ports.name(number) + " of " + name + " is taken");
      }
      long address = 0x020000000000L | (datapathId & 0xffff) << 24 | number & 0xffffff;
      SwitchPort port = new SwitchPort(number, portName, address, wire, clock.monotonicNanos());
      pipeline.ports.put(number, port);
      pipeline.changed();
      observers.forEach(observer -> observer.portChanged(port, SwitchObserver.PortChange.ADDED));
      return port;
    } finally {
      lock.unlock();
    }
  }

  /** Plugs a network backend in, and starts it. */
  public SwitchPort attach(String portName, NetworkBackend backend) {
    BackendWire wire = new BackendWire(backend);
    SwitchPort port = addPort(portName, wire);
    backend.start(new PortReceiver(this, port));
    return port;
  }

  /** Adds a port and returns its other end, for a guest's card. Closing it removes the port. */
  public NetworkBackend addGuest(String portName) {
    GuestCable cable = new GuestCable(this);
    cable.plug(addPort(portName, cable.wire()));
    return cable;
  }

  /** Joins two switches by a cable of one port on each. */
  public static void patch(VirtualSwitch left, VirtualSwitch right, String portName) {
    PatchWire toRight = new PatchWire(left, right);
    PatchWire toLeft = new PatchWire(right, left);
    SwitchPort leftPort = left.addPort(portName + "-" + right.name, toRight);
    SwitchPort rightPort = right.addPort(portName + "-" + left.name, toLeft);
    toRight.lead(rightPort);
    toLeft.lead(leftPort);
  }

  public void removePort(SwitchPort port) {
    lock.lock();
    try {
      if (pipeline.ports.remove(port.number(), port)) {
        addresses.forgetPort(port.number());
        pipeline.changed();
        observers.forEach(o -> o.portChanged(port, SwitchObserver.PortChange.DELETED));
      } else {
        return;
      }
    } finally {
      lock.unlock();
    }
    port.wire().close();
  }

  /** Changes the configuration bits of a port that {@code mask} names. */
  public void configurePort(SwitchPort port, int bits, int mask) {
    change(port, () -> port.configure(port.configuration() & ~mask | bits & mask));
  }

  /** Says whether a port's link is up. */
  public void setLink(SwitchPort port, boolean up) {
    change(port, () -> port.setLink(up));
  }

  private void change(SwitchPort port, Runnable change) {
    lock.lock();
    try {
      change.run();
      pipeline.changed();
      observers.forEach(o -> o.portChanged(port, SwitchObserver.PortChange.MODIFIED));
    } finally {
      lock.unlock();
    }
  }

  public Optional<SwitchPort> port(int number) {
    return inspect(() -> Optional.ofNullable(pipeline.port(number)));
  }

  public Optional<SwitchPort> port(String portName) {
    return inspect(
        () -> pipeline.ports().stream().filter(p -> p.name().equals(portName)).findFirst());
  }

  /** All ports, by number. */
  public List<SwitchPort> ports() {
    return inspect(() -> List.copyOf(pipeline.ports()));
  }

  // --- Frames ---

  /** Takes a frame that arrives at a port through the pipeline. */
  public void receive(SwitchPort port, NetworkFrame frame) {
    receive(port, frame, 0, 0, 0);
  }

  /** Takes the first {@code count} frames that arrived at a port together, in their order. */
  public void receive(SwitchPort port, NetworkFrame[] frames, int count) {
    for (int from = 0; from < count; from += PacketBurst.PACKETS) {
      boolean more;
      lock.lock();
      try {
        burst.clear();
        for (int i = from; i < Math.min(count, from + PacketBurst.PACKETS); i++) {
          burst.add(port, frames[i], 0, 0, 0);
        }
        burst.approach(cache);
        forward(port);
        more = !deferred.isEmpty();
      } finally {
        lock.unlock();
      }
      if (more) {
        runDeferred();
      }
    }
  }

  private void forward(SwitchPort port) {
    engine.nowNanos = clock.monotonicNanos();
    for (int i = 0; i < burst.count(); i++) {
      Packet packet = burst.packet(i);
      for (FrameTap tap : taps) {
        tap.frame(port, true, packet);
      }
      engine.follow(burst.find(i, cache, pipeline.generation(), engine.nowNanos), packet);
    }
  }

  /**
   * Takes a frame that a tunnel carried here between two IPv4 endpoints under a network identifier.
   */
  public void receive(
      SwitchPort port, NetworkFrame frame, long tunnel, int source, int destination) {
    boolean more;
    lock.lock();
    try {
      burst.clear();
      burst.add(port, frame, tunnel, source, destination);
      forward(port);
      more = !deferred.isEmpty();
    } finally {
      lock.unlock();
    }
    if (more) {
      runDeferred();
    }
  }

  /** Applies actions to a frame as if it had come from {@code inPort}, as a packet-out does. */
  public void execute(byte[] frame, int inPort, List<Action> actions) throws FlowError {
    lock.lock();
    try {
      ActionCheck.unknown(pipeline).check(actions);
      Packet sent = engine.borrow();
      if (sent == null) {
        return;
      }
      try {
        if (!sent.reset(frame, 0, frame.length)) {
          throw new FlowError(
              FlowError.BAD_REQUEST, 12, "a packet of " + frame.length + " bytes is not a frame");
        }
        sent.key.clear();
        sent.key.setInPort(inPort);
        sent.parse();
        engine.nowNanos = clock.monotonicNanos();
        engine.run(new PathBuilder(pipeline, null).buildActions(sent.key, actions), sent);
      } finally {
        engine.release();
      }
    } finally {
      lock.unlock();
    }
    runDeferred();
  }

  /** Runs something that calls another switch once this one's lock is free. */
  void defer(Runnable task) {
    if (deferred.size() < DEFERRED_MAXIMUM) {
      deferred.add(task);
    }
  }

  private void runDeferred() {
    if (lock.isHeldByCurrentThread()) {
      return;
    }
    while (true) {
      Runnable task;
      lock.lock();
      try {
        task = deferred.poll();
      } finally {
        lock.unlock();
      }
      if (task == null) {
        return;
      }
      task.run();
    }
  }

  /** Adds a tap that sees every frame at every port. */
  public void addTap(FrameTap tap) {
    lock.lock();
    try {
      taps = java.util.Arrays.copyOf(taps, taps.length + 1);
      taps[taps.length - 1] = tap;
    } finally {
      lock.unlock();
    }
  }

  public void removeTap(FrameTap tap) {
    lock.lock();
    try {
      taps = java.util.Arrays.stream(taps).filter(t -> t != tap).toArray(FrameTap[]::new);
    } finally {
      lock.unlock();
    }
  }

  /** What would happen to a frame, step by step, without it happening. */
  public TracedPath trace(TracedPath.Entry entry) {
    return inspect(() -> new PathTrace(pipeline, connections, clock.monotonicNanos()).of(entry));
  }

  // --- Flows ---

  /** Changes flow tables; see {@link FlowModification}. */
  public void modify(FlowModification modification) throws FlowError {
    lock.lock();
    try {
      program.modify(modification, clock.monotonicNanos());
    } finally {
      lock.unlock();
    }
  }

  public void addGroup(int id, Group.Type type, List<Group.Bucket> buckets) throws FlowError {
    change(() -> program.putGroup(id, type, buckets, false, clock.monotonicNanos()));
  }

  public void modifyGroup(int id, Group.Type type, List<Group.Bucket> buckets) throws FlowError {
    change(() -> program.putGroup(id, type, buckets, true, clock.monotonicNanos()));
  }

  public void deleteGroup(int id) {
    change(() -> program.deleteGroup(id));
  }

  public void putMeter(int id, int flags, List<Meter.Band> bands, boolean present)
      throws FlowError {
    change(() -> program.putMeter(new Meter(id, flags, bands, clock.monotonicNanos()), present));
  }

  public void deleteMeter(int id) {
    change(() -> program.deleteMeter(id));
  }

  /**
   * Whether packets pass the tables, or are all forwarded as a learning switch does while the flows
   * stay (fail standalone mode, OpenFlow 1.3.5 §6.3.2).
   */
  public void ignoreFlows(boolean ignored) {
    change(() -> pipeline.ignoreFlows(ignored));
  }

  /** A change other than of flows. */
  private interface Change<E extends Exception> {
    void make() throws E;
  }

  private <E extends Exception> void change(Change<E> change) throws E {
    lock.lock();
    try {
      cache.settle();
      change.make();
    } finally {
      lock.unlock();
    }
  }

  /** Gives a port a queue with a limit, 0 for none. */
  public void putQueue(SwitchPort port, int queue, long maximumBitsPerSecond) {
    lock.lock();
    try {
      port.queues().put(queue, new SwitchPort.Queue(maximumBitsPerSecond, clock.monotonicNanos()));
    } finally {
      lock.unlock();
    }
  }

  public void addObserver(SwitchObserver observer) {
    observers.add(observer);
  }

  public void removeObserver(SwitchObserver observer) {
    observers.remove(observer);
  }

  // --- Looking in ---

  /** Runs something that reads tables, groups, meters or ports while nothing changes them. */
  public <T> T inspect(Supplier<T> reader) {
    lock.lock();
    try {
      cache.settle();
      return reader.get();
    } finally {
      lock.unlock();
    }
  }

  /** A table, to be read inside of {@link #inspect}. */
  public FlowTable table(int id) {
    return pipeline.table(id);
  }

  /** How many tables there are, numbered from 0. */
  public int tables() {
    return Pipeline.TABLES;
  }

  /** The groups by number, to be read inside of {@link #inspect}. */
  public Collection<Group> groups() {
    return pipeline.groups.values();
  }

  /** The meters by number, to be read inside of {@link #inspect}. */
  public Collection<Meter> meters() {
    return pipeline.meters.values();
  }

  /** What the flow cache did so far. */
  public record CacheStatistics(
      long guessedHits, long tableHits, long misses, int paths, int tables) {}

  public CacheStatistics cacheStatistics() {
    return inspect(() ->
        new CacheStatistics(
            cache.guessedHits(), cache.tableHits(), cache.misses(), cache.paths(), cache.tables()));
  }

  /** Connections being tracked. */
  public int trackedConnections() {
    return inspect(connections::size);
  }

  private void expireEverySecond() {
    while (!closed) {
      try {
        Thread.sleep(500);
      } catch (InterruptedException e) {
        return;
      }
      lock.lock();
      try {
        long now = clock.monotonicNanos();
        if (program.hasIdleTimeouts()) {
          cache.settle();
        }
        cache.tick();
        program.expire(now);
        connections.expire(now);
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public void close() {
    closed = true;
    for (SwitchPort port : ports()) {
      removePort(port);
    }
  }

  /** Forwards packets under the lock. */
  private final class Engine extends Forwarding {
    void process(Packet forwarded) {
      follow(cache.find(forwarded, pipeline.generation(), nowNanos), forwarded);
    }

    /** Does to a packet what is known, or else what the tables say. */
    void follow(Operation @Nullable [] operations, Packet forwarded) {
      if (operations == null) {
        CachedPath path = new PathBuilder(pipeline, null).build(forwarded.key);
        cache.learn(forwarded.key, path, pipeline);
        run(path, forwarded);
      } else {
        run(operations, forwarded);
      }
    }

    /** Takes a packet down a path that the cache does not count for. */
    void run(CachedPath path, Packet forwarded) {
      path.credit(1, forwarded.length(), nowNanos);
      run(path.operations(), forwarded);
    }

    private void run(Operation[] operations, Packet forwarded) {
      for (Operation operation : operations) {
        if (!operation.apply(forwarded, this)) {
          return;
        }
      }
    }

    @Override
    void output(Packet sent, SwitchPort port) {
      for (FrameTap tap : taps) {
        tap.frame(port, false, sent);
      }
      port.transmit(sent, nowNanos);
    }

    @Override
    void outputNumber(Packet sent, int number) {
      SwitchPort port = pipeline.port(number);
      if (port != null && number != sent.key.inPort()) {
        output(sent, port);
      }
    }

    @Override
    void flood(Packet sent) {
      int from = sent.key.inPort();
      for (SwitchPort port : pipeline.ports()) {
        if (port.number() != from) {
          output(sent, port);
        }
      }
    }

    @Override
    void normal(Packet sent) {
      FlowKey key = sent.key;
      int vlan = key.vlan() & 0xfff;
      addresses.learn(vlan, key.source(), key.inPort(), nowNanos);
      long destination = key.destination();
      int known = (destination >>> 40 & 1) != 0 ? -1 : addresses.find(vlan, destination, nowNanos);
      if (known == -1) {
        flood(sent);
      } else {
        outputNumber(sent, known);
      }
    }

    @Override
    void toController(
        Packet sent, int maximumLength, SwitchObserver.Reason reason, int table, long cookie) {
      SwitchPort in = pipeline.port(sent.key.inPort());
      if (in != null && (in.configuration() & SwitchPort.NO_PACKET_IN) != 0
          || observers.isEmpty()) {
        return;
      }
      SwitchObserver.PacketIn message =
          new SwitchObserver.PacketIn(
              sent.toByteArray(),
              maximumLength,
              reason,
              table,
              cookie,
              sent.key.inPort(),
              (int) sent.key.words[FlowKey.PORT],
              sent.key.words[FlowKey.METADATA],
              sent.key.words[FlowKey.TUNNEL]);
      observers.forEach(observer -> observer.packetIn(message));
    }

    @Override
    void recirculate(Packet sent, int resumePoint) {
      Packet copy = borrow();
      if (copy == null) {
        return;
      }
      copy.copyFrom(sent);
      copy.parse();
      copy.key.setRecirculation(resumePoint);
      process(copy);
      release();
    }

    @Override
    void track(Packet sent, Action.Track action, int resumePoint) {
      if (resumePoint == 0) {
        connections.track(sent, action, nowNanos);
        return;
      }
      Packet copy = borrow();
      if (copy == null) {
        return;
      }
      copy.copyFrom(sent);
      connections.track(copy, action, nowNanos);
      copy.key.setRecirculation(resumePoint);
      process(copy);
      release();
    }
  }
}
