package io.anillo.network.dataplane;

import io.anillo.network.flow.FlowEntry;
import io.anillo.network.flow.FlowTable;

/**
 * Is told what a controller may want to know. Called under the switch's lock: it must not block.
 */
public interface SwitchObserver {
  /** Why a packet goes to the controller, in the order of OpenFlow 1.3.5 §7.4.1. */
  enum Reason {
    NO_MATCH,
    ACTION,
    INVALID_TTL
  }

  /**
   * A packet for the controller.
   *
   * @param frame the whole frame
   * @param maximumLength how many bytes the controller wants
   */
  record PacketIn(
      byte[] frame,
      int maximumLength,
      Reason reason,
      int table,
      long cookie,
      int inPort,
      int inPhysicalPort,
      long metadata,
      long tunnel) {}

  void packetIn(PacketIn packet);

  void flowRemoved(FlowEntry entry, FlowTable.Removal reason);

  /** What happened to a port, in the order of OpenFlow 1.3.5 §7.4.3. */
  enum PortChange {
    ADDED,
    DELETED,
    MODIFIED
  }

  void portChanged(SwitchPort port, PortChange change);
}
