package io.anillo.network.controller;

import io.anillo.network.flow.FlowError;
import io.anillo.network.flow.Ports;
import io.anillo.network.openflow.Handshake;
import io.anillo.network.openflow.Message;
import io.anillo.network.openflow.Multipart;
import io.anillo.network.openflow.OpenFlowConnection;
import io.anillo.network.openflow.OpenFlowListener;
import io.anillo.network.openflow.PortDescription;
import io.anillo.network.openflow.TraceMessage;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ServerSocketFactory;

/**
 * Runs switches over OpenFlow 1.3 for its applications. Switches call it, or it calls them.
 *
 * <p>Several controllers may share switches: one with a role of {@code Role.MASTER} changes them,
 * the others follow what happens until one of them is promoted with a later generation (OpenFlow
 * 1.3.5 §6.3.6).
 */
public final class Controller implements AutoCloseable {
  /** What this controller asks its switches to take it for. */
  public enum Role {
    EQUAL(1),
    MASTER(2),
    SLAVE(3);

    private final int code;

    Role(int code) {
      this.code = code;
    }
  }

  private static final System.Logger LOG = System.getLogger(Controller.class.getName());
  private static final int IDLE_MILLIS = 5_000;

  private final List<ControllerApplication> applications;
  private final Map<Long, ConnectedSwitch> switches = new ConcurrentHashMap<>();
  private final List<AutoCloseable> resources = new CopyOnWriteArrayList<>();
  private volatile Role role = Role.EQUAL;
  private volatile long generation;
  private volatile boolean closed;

  /** Creates a controller; applications are asked in this order. */
  public Controller(List<ControllerApplication> applications) {
    this.applications = List.copyOf(applications);
  }

  /** Listens for switches; returns the port. */
  public int listen(InetSocketAddress address) throws IOException {
    return listen(address, ServerSocketFactory.getDefault());
  }

  public int listen(InetSocketAddress address, ServerSocketFactory factory) throws IOException {
    OpenFlowListener listener =
        new OpenFlowListener("the controller", address, factory, this::serve);
    resources.add(listener);
    return listener.port();
  }

  /** Calls a switch that listens. */
  public void connect(InetSocketAddress device) throws IOException {
    Socket socket = new Socket();
    socket.connect(device, 5_000);
    Thread.ofVirtual().name("controller session").start(() -> serve(socket));
  }

  /**
   * Takes a role with all switches, now and later; the generation must grow with each change of
   * master.
   */
  public void assumeRole(Role wanted, long wantedGeneration) {
    role = wanted;
    generation = wantedGeneration;
    switches.values().forEach(this::requestRole);
  }

  /** The latest generation of masters that this controller knows of. */
  public long generation() {
    return generation;
  }

  public Role role() {
    return role;
  }

  private void requestRole(ConnectedSwitch device) {
    if (role != Role.EQUAL || generation != 0) {
      device.send(Message.ROLE_REQUEST, new WireWriter().u32(role.code).zero(4).u64(generation));
    }
  }

  public Collection<ConnectedSwitch> switches() {
    return List.copyOf(switches.values());
  }

  public Optional<ConnectedSwitch> find(long datapathId) {
    return Optional.ofNullable(switches.get(datapathId));
  }

  private void serve(Socket socket) {
    try (OpenFlowConnection connection = new OpenFlowConnection(socket)) {
      connection.setReadTimeoutMillis(IDLE_MILLIS);
      Handshake.perform(connection);
      connection.send(new Message(Message.FEATURES_REQUEST, 2, new byte[0]));
      Message features = connection.read();
      while (features.type() != Message.FEATURES_REPLY) {
        if (features.type() == Message.ECHO_REQUEST) {
          connection.send(new Message(Message.ECHO_REPLY, features.transaction(), features.body()));
        }
        features = connection.read();
      }
      WireReader reader = features.reader();
      long datapathId = reader.u64();
      reader.skip(4);
      run(connection, new ConnectedSwitch(connection, datapathId, reader.u8()));
    } catch (IOException | FlowError e) {
      if (!closed) {
        LOG.log(System.Logger.Level.DEBUG, () -> "channel ended: " + e.getMessage());
      }
    }
  }

  private void run(OpenFlowConnection connection, ConnectedSwitch device) throws IOException {
    device.setMaster(role != Role.SLAVE);
    requestRole(device);
    // Whole frames to the controller, fragments untouched.
    device.send(Message.SET_CONFIG, new WireWriter().u16(0).u16(0xffff));
    device.requestPorts();
    boolean announced = false;
    boolean waiting = false;
    try {
      while (true) {
        Message message;
        try {
          message = connection.read();
          waiting = false;
        } catch (SocketTimeoutException e) {
          if (waiting) {
            throw new IOException(device + " is silent", e);
          }
          waiting = true;
          device.send(Message.ECHO_REQUEST, new WireWriter());
          continue;
        }
        boolean ready = handle(connection, device, message);
        if (ready && !announced) {
          announced = true;
          ConnectedSwitch old = switches.put(device.datapathId(), device);
          if (old != null) {
            old.close();
          }
          applications.forEach(application -> application.switchUp(device));
        }
      }
    } finally {
      if (switches.remove(device.datapathId(), device)) {
        applications.forEach(application -> application.switchDown(device));
      }
    }
  }

  /**
   * Deals with one message; true when it was the list of ports, after which the switch is
   * announced.
   */
  private boolean handle(OpenFlowConnection connection, ConnectedSwitch device, Message message)
      throws IOException {
    try {
      WireReader reader = message.reader();
      switch (message.type()) {
        case Message.ECHO_REQUEST ->
            connection.send(new Message(Message.ECHO_REPLY, message.transaction(), message.body()));
        case Message.BARRIER_REPLY -> device.barrierDone(message.transaction());
        case Message.ROLE_REPLY -> roleReply(device, reader);
        case Message.PACKET_IN -> {
          ReceivedPacket packet = ReceivedPacket.read(reader);
          if (packet.isFrame()) {
            offer(device, packet);
          }
        }
        case Message.PORT_STATUS -> {
          int reason = reader.u8();
          reader.skip(7);
          PortDescription port = PortDescription.read(reader);
          if (port.number() != Ports.LOCAL) {
            if (reason == 1) {
              device.removePort(port.number());
            } else {
              device.putPort(port);
            }
            applications.forEach(a -> a.portChanged(device, port, reason != 1));
          }
        }
        case Message.FLOW_REMOVED -> {
          RemovedFlow flow = RemovedFlow.read(reader);
          applications.forEach(application -> application.flowRemoved(device, flow));
        }
        case Message.MULTIPART_REPLY -> {
          int type = reader.u16();
          int flags = reader.u16();
          reader.skip(4);
          if (type == Multipart.PORT_DESCRIPTION) {
            device.readPorts(reader);
            return (flags & 1) == 0;
          }
          if (type == Multipart.PORT_STATISTICS) {
            device.readPortCounters(message.transaction(), reader);
          }
          if (type == Multipart.FLOW) {
            device.readFlows(message.transaction(), reader, (flags & 1) != 0);
          }
        }
        case Message.EXPERIMENTER ->
            device.traced(message.transaction(), TraceMessage.readAnswer(reader));
        case Message.ERROR -> logError(device, reader);
        default -> {}
      }
    } catch (FlowError e) {
      device.complain("sent a message that is wrong: " + e.getMessage());
    }
    return false;
  }

  /** Offers a packet to the applications until one takes it. */
  private void offer(ConnectedSwitch device, ReceivedPacket packet) {
    for (ControllerApplication application : applications) {
      if (application.packetIn(device, packet)) {
        return;
      }
    }
  }

  private void roleReply(ConnectedSwitch device, WireReader reader) throws FlowError {
    boolean before = device.master();
    int code = reader.u32();
    reader.skip(4);
    long seen = reader.u64();
    if (seen != -1L && seen - generation > 0) {
      generation = seen;
    }
    device.setMaster(role != Role.SLAVE && code != Role.SLAVE.code);
    if (role == Role.SLAVE && code != Role.SLAVE.code) {
      requestRole(device);
    }
    if (!before && device.master() && find(device.datapathId()).isPresent()) {
      applications.forEach(application -> application.promoted(device));
    }
  }

  private void logError(ConnectedSwitch device, WireReader reader) throws FlowError {
    int type = reader.u16();
    int code = reader.u16();
    if (type == FlowError.ROLE_REQUEST_FAILED && code == 0 && role == Role.SLAVE) {
      // Somebody was master before us: ask which generation it is, and try again with that.
      device.send(Message.ROLE_REQUEST, new WireWriter().u32(0).zero(4).u64(0));
      return;
    }
    if (type == FlowError.ROLE_REQUEST_FAILED) {
      device.setMaster(false);
    }
    boolean expected =
        type == FlowError.GROUP_MOD_FAILED && (code == 0 || code == 8)
            || type == FlowError.METER_MOD_FAILED && (code == 1 || code == 3);
    if (expected) {
      return; // See ConnectedSwitch.putGroup and putMeter.
    }
    device.complain("refused a request: error " + type + "." + code);
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
    switches.values().forEach(ConnectedSwitch::close);
  }
}
