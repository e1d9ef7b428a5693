package io.anillo.network.agent;

import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.flow.FlowError;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.OpenFlowListener;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ServerSocketFactory;
import javax.net.SocketFactory;

/**
 * Lets OpenFlow 1.3 controllers program a switch: it listens for them, calls them, or both. Give it
 * the factories of an {@code SSLContext} to speak TLS.
 */
public final class OpenFlowAgent implements AutoCloseable {
  /** What a switch does while none of the controllers it calls answers (OpenFlow 1.3.5 §6.3.2). */
  public enum FailMode {
    SECURE,
    STANDALONE
  }

  private static final System.Logger LOG = System.getLogger(OpenFlowAgent.class.getName());
  private static final long FIRST_PAUSE_MILLIS = 200;
  private static final long LONGEST_PAUSE_MILLIS = 8_000;

  private final VirtualSwitch owner;
  private final FailMode failMode;
  private final PacketBuffers buffers = new PacketBuffers();
  private final List<AgentSession> sessions = new CopyOnWriteArrayList<>();
  private final List<AutoCloseable> resources = new CopyOnWriteArrayList<>();
  private final AtomicInteger called = new AtomicInteger();
  private boolean generationKnown;
  private long generation;
  private boolean standalone;
  private volatile boolean closed;

  public OpenFlowAgent(VirtualSwitch owner, FailMode failMode) {
    this.owner = owner;
    this.failMode = failMode;
  }

  /**
   * Listens for controllers; returns the port, which is a free one when {@code address} has port 0.
   */
  public int listen(InetSocketAddress address) throws IOException {
    return listen(address, ServerSocketFactory.getDefault());
  }

  public int listen(InetSocketAddress address, ServerSocketFactory factory) throws IOException {
    OpenFlowListener listener = new OpenFlowListener(owner.name(), address, factory, this::serve);
    resources.add(listener);
    return listener.port();
  }

  /** Calls a controller, and again whenever the channel ends. */
  public void connect(InetSocketAddress controller) {
    connect(controller, SocketFactory.getDefault());
  }

  public void connect(InetSocketAddress controller, SocketFactory factory) {
    Thread thread =
        Thread.ofVirtual()
            .name("openflow channel of " + owner.name())
            .start(() -> call(controller, factory));
    resources.add(thread::interrupt);
  }

  private void call(InetSocketAddress controller, SocketFactory factory) {
    long pause = FIRST_PAUSE_MILLIS;
    int failures = 0;
    while (!closed) {
      try {
        Socket socket = factory.createSocket();
        socket.connect(
            new InetSocketAddress(controller.getHostString(), controller.getPort()), 5_000);
        long before = System.nanoTime();
        called.incrementAndGet();
        try {
          serve(socket);
        } finally {
          called.decrementAndGet();
        }
        if (System.nanoTime() - before > 1_000_000_000L) {
          pause = FIRST_PAUSE_MILLIS;
          failures = 0;
        }
      } catch (IOException e) {
        LOG.log(
            System.Logger.Level.DEBUG,
            () -> owner.name() + " cannot reach controller " + controller + ": " + e.getMessage());
      }
      if (++failures >= 3 && sessions.isEmpty()) {
        switchAlone(true);
      }
      try {
        Thread.sleep(pause);
      } catch (InterruptedException e) {
        return;
      }
      pause = Math.min(LONGEST_PAUSE_MILLIS, pause * 2);
    }
  }

  private void serve(Socket socket) {
    try {
      new AgentSession(this, owner, new OpenFlowConnection(socket)).run();
    } catch (IOException e) {
      if (!closed) {
        LOG.log(
            System.Logger.Level.DEBUG, () -> owner.name() + ": channel ended: " + e.getMessage());
      }
    }
  }

  /** Turns the learning switch of standalone mode on or off. */
  private synchronized void switchAlone(boolean alone) {
    if (failMode == FailMode.STANDALONE && standalone != alone) {
      standalone = alone;
      owner.ignoreFlows(alone);
    }
  }

  PacketBuffers buffers() {
    return buffers;
  }

  void opened(AgentSession session) {
    sessions.add(session);
    owner.addObserver(session);
    if (called.get() > 0) {
      switchAlone(false);
    }
  }

  void closed(AgentSession session) {
    sessions.remove(session);
    owner.removeObserver(session);
  }

  /** Refuses a role request older than one seen before (OpenFlow 1.3.5 §6.3.6). */
  synchronized void checkGeneration(long offered) throws FlowError {
    if (generationKnown && offered - generation < 0) {
      throw new FlowError(FlowError.ROLE_REQUEST_FAILED, 0, "generation " + offered + " is stale");
    }
    generation = offered;
    generationKnown = true;
  }

  synchronized long generation() {
    return generationKnown ? generation : -1L;
  }

  /** A new master makes every other master a slave. */
  void demoteOthers(AgentSession master) {
    for (AgentSession session : sessions) {
      if (session != master && session.role() == Role.MASTER) {
        session.demote();
      }
    }
  }

  /** How many controllers have an open channel. */
  public int controllers() {
    return sessions.size();
  }

  @Override
  public void close() {
    closed = true;
    for (AutoCloseable resource : resources) {
      try {
        resource.close();
      } catch (Exception e) {
        LOG.log(System.Logger.Level.DEBUG, "closing " + resource, e);
      }
    }
    sessions.forEach(AgentSession::close);
  }
}
