package io.anillo.network.service;

import io.anillo.network.NetworkChoice;
import io.anillo.network.agent.OpenFlowAgent;
import io.anillo.network.controller.Controller;
import io.anillo.network.controller.Failover;
import io.anillo.network.dataplane.VirtualSwitch;
import io.anillo.network.packet.Bytes;
import io.anillo.network.port.VxlanPort;
import io.anillo.network.tenant.Ipv6;
import io.anillo.network.tenant.NetworkModel;
import io.anillo.network.tenant.Outside;
import io.anillo.network.tenant.TenantNetworks;
import io.anillo.network.uplink.UserNetworkConfig;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.NetworkBackend;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;

/**
 * The network of one host: its switch, the controller of all hosts' switches (unless another host
 * has it), the way out, and a control socket for commands and guests in other processes.
 */
public final class NetworkService implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(NetworkService.class.getName());

  /** How long a standby waits for a master that is silent. */
  private static final int PATIENCE_MILLIS = 2_000;

  private final ServiceConfig config;
  private final VirtualSwitch hostSwitch;
  private final OpenFlowAgent agent;
  private final TenantNetworks networks;
  private final Controller controller;
  private final ModelFile file;
  private final HostPlugs plugs;
  private final List<AutoCloseable> resources = new CopyOnWriteArrayList<>();
  private final ServerSocketChannel server;
  private final CountDownLatch ended = new CountDownLatch(1);
  private final String run = Long.toHexString(new SecureRandom().nextLong());
  private NetworkModel told = NetworkModel.EMPTY;
  private String toldText = "";
  private volatile boolean closed;

  private NetworkService(ServiceConfig config, ServerSocketChannel server) throws IOException {
    this.config = config;
    this.server = server;
    this.file = new ModelFile(config.folder().resolve("networks.json"));
    this.plugs = new HostPlugs(this, config.folder().resolve("plugs.json"));
    this.networks = new TenantNetworks(outside(config));
    this.controller = new Controller(List.of(networks));
    this.hostSwitch = new VirtualSwitch("host", datapathId(config), Clock.system());
    this.agent = new OpenFlowAgent(hostSwitch, OpenFlowAgent.FailMode.SECURE);
  }

  private static Outside outside(ServiceConfig config) {
    boolean user = config.uplink().equals("user") || config.uplink().startsWith("user,");
    if (!user) {
      return new Outside(config.nextHop(), config.nextHop6());
    }
    UserNetworkConfig network = UserNetworkConfig.parse(options(config.uplink()));
    return new Outside(
        config.nextHop() == 0 ? network.gateway() : config.nextHop(),
        config.nextHop6().or(() -> Optional.of(new Ipv6(network.prefixHigh(), 2, 128))));
  }

  private static String options(String uplink) {
    int comma = uplink.indexOf(',');
    return comma < 0 ? "" : uplink.substring(comma + 1);
  }

  /** Hosts are told apart by the addresses of their tunnels. */
  private static long datapathId(ServiceConfig config) {
    return config.tunnel().map(address -> tunnelAddress(address) & 0xffffffffL).orElse(1L);
  }

  private static int tunnelAddress(InetSocketAddress address) {
    return Bytes.getInt(address.getAddress().getAddress(), 0);
  }

  /**
   * Starts the service of a folder.
   *
   * @throws IOException with one clear sentence when one runs already or something cannot be had
   */
  public static NetworkService start(ServiceConfig config) throws IOException {
    Files.createDirectories(config.folder());
    Path socket = ServiceConfig.socket(config.folder());
    if (Files.exists(socket)) {
      try (ServiceClient running = ServiceClient.connect(config.folder())) {
        throw new IOException(
            "a network service runs in " + config.folder() + " already: " + running);
      } catch (IOException e) {
        if (String.valueOf(e.getMessage()).startsWith("a network service")) {
          throw new IOException("a network service runs in " + config.folder() + " already", e);
        }
        Files.delete(socket);
      }
    }
    ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    NetworkService service = new NetworkService(config, server);
    boolean complete = false;
    try {
      server.bind(UnixDomainSocketAddress.of(socket));
      Files.setPosixFilePermissions(
          socket, java.nio.file.attribute.PosixFilePermissions.fromString("rw-------"));
      service.open();
      complete = true;
      return service;
    } finally {
      if (!complete) {
        service.close();
      }
    }
  }

  private void open() throws IOException {
    NetworkModel model = file.load();
    for (String port : List.copyOf(model.ports().keySet())) {
      if (RequestHandler.madeForOneGuest(port)) {
        model = model.detach(port);
      }
    }
    networks.apply(model);
    if (!config.uplink().equals("none")) {
      NetworkBackend uplink = NetworkChoice.open(config.uplink());
      hostSwitch.attach(TenantNetworks.UPLINK, uplink);
    }
    if (config.tunnel().isPresent()) {
      InetSocketAddress local = config.tunnel().get();
      String name = TenantNetworks.tunnelName(tunnelAddress(local));
      VxlanPort.attach(hostSwitch, name, local, Optional.empty());
    }
    if (config.controls()) {
      InetSocketAddress local = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      InetSocketAddress listening = config.listen().orElse(local);
      int port = controller.listen(listening);
      InetAddress address = listening.getAddress();
      agent.connect(
          new InetSocketAddress(
              address.isAnyLocalAddress() ? InetAddress.getLoopbackAddress() : address, port));
    }
    config.controllers().forEach(agent::connect);
    if (config.watched().isPresent()) {
      closeAtEnd(Failover.master(controller, config.watched().get(), this::modelText));
    }
    config
        .standby()
        .ifPresent(master ->
            closeAtEnd(Failover.standby(controller, master, PATIENCE_MILLIS, this::learnModel)));
    plugs.restore();
    Thread.ofPlatform().daemon().name("network control").start(this::accept);
  }

  private void accept() {
    while (!closed) {
      try {
        SocketChannel channel = server.accept();
        Thread.ofVirtual().name("network command").start(() -> serve(channel));
      } catch (IOException e) {
        if (!closed) {
          LOG.log(System.Logger.Level.WARNING, "the network service takes no more commands", e);
        }
        return;
      }
    }
  }

  private void serve(SocketChannel channel) {
    boolean keep = false;
    try {
      while (!keep && !closed) {
        keep = new RequestHandler(this, channel).serve(ServiceClient.readLine(channel));
      }
    } catch (IOException e) {
      LOG.log(System.Logger.Level.TRACE, "a command's connection ended", e);
    } finally {
      if (!keep) {
        close(channel);
      }
    }
  }

  private static void close(SocketChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "closing a command's connection", e);
    }
  }

  /** A text that no other run of the service has. */
  String run() {
    return run;
  }

  ServiceConfig config() {
    return config;
  }

  VirtualSwitch hostSwitch() {
    return hostSwitch;
  }

  TenantNetworks networks() {
    return networks;
  }

  Controller controller() {
    return controller;
  }

  /** Whether this host's controller decides, and not another host's. */
  boolean decides() {
    return config.controls() && controller.role() != Controller.Role.SLAVE;
  }

  /** Where to ask what this host does not decide. */
  String decider() {
    InetSocketAddress address = config.standby().orElseGet(() -> config.controllers().getFirst());
    return address.getHostString() + ":" + address.getPort();
  }

  boolean runs() {
    return !closed;
  }

  HostPlugs plugs() {
    return plugs;
  }

  /** Has something closed when the service ends. */
  void closeAtEnd(AutoCloseable resource) {
    resources.add(resource);
  }

  /** What a standby must know. */
  private synchronized String modelText() {
    NetworkModel current = networks.model();
    if (!current.equals(told)) {
      told = current;
      toldText = file.text(current);
    }
    return toldText;
  }

  /** As a standby: what the master has been asked for. */
  private synchronized void learnModel(String text) {
    try {
      NetworkModel learned = file.read(text);
      file.save(learned);
      networks.apply(learned);
    } catch (IOException | IllegalArgumentException e) {
      LOG.log(System.Logger.Level.WARNING, "the master's networks cannot be kept", e);
    }
  }

  /** Changes what tenants have asked for, and keeps it. */
  synchronized NetworkModel change(java.util.function.UnaryOperator<NetworkModel> change)
      throws IOException {
    NetworkModel changed = change.apply(networks.model());
    file.save(changed);
    networks.apply(changed);
    return changed;
  }

  /** Waits until somebody ends the service. */
  public void await() throws InterruptedException {
    ended.await();
  }

  @Override
  public void close() {
    closed = true;
    try {
      server.close();
      Files.deleteIfExists(ServiceConfig.socket(config.folder()));
    } catch (IOException e) {
      LOG.log(System.Logger.Level.DEBUG, "closing the control socket", e);
    }
    for (AutoCloseable resource : resources) {
      try {
        resource.close();
      } catch (Exception e) {
        LOG.log(System.Logger.Level.DEBUG, "ending the network service", e);
      }
    }
    controller.close();
    networks.close();
    agent.close();
    hostSwitch.close();
    ended.countDown();
  }
}
