package io.anillo.network.controller;

import io.anillo.network.openflow.PortDescription;

/**
 * What an application of the controller is told. All calls for one switch come in order on one
 * thread; calls for different switches may come at the same time.
 */
public interface ControllerApplication {
  /**
   * A switch is connected and its ports are known. Its flows may be those of an earlier connection.
   */
  default void switchUp(ConnectedSwitch device) {}

  /** This controller, a slave before, may change the switch from now on. */
  default void promoted(ConnectedSwitch device) {}

  default void switchDown(ConnectedSwitch device) {}

  /**
   * A packet came to the controller, with an Ethernet header at least; true when this application
   * has dealt with it and later ones shall not see it.
   */
  default boolean packetIn(ConnectedSwitch device, ReceivedPacket packet) {
    return false;
  }

  /** A port was added, changed or (with {@code present} false) removed. */
  default void portChanged(ConnectedSwitch device, PortDescription port, boolean present) {}

  default void flowRemoved(ConnectedSwitch device, RemovedFlow flow) {}
}
