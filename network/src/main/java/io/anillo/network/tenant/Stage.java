package io.anillo.network.tenant;

/**
 * The tables that packets of tenants pass, in this order but for floods' resubmissions, and the
 * registers that carry what earlier ones found out.
 *
 * <pre>
 * reg0  number of the logical switch that the packet is on      reg3  1 when it came through a tunnel
 * reg1  number of the logical port that sent it                 reg4  number of its router, else of its switch
 * reg2  number of the logical port it goes to                   reg5  1 when it has been routed
 * </pre>
 */
enum Stage {
  /** Whose packet is it? */
  CLASSIFY,
  /** Addresses outside become addresses inside. */
  ENTER,
  /** Only what the port may send, and what the controller answers. */
  ADMIT,
  /** Address resolution, answered on the spot. */
  RESOLVE,
  /** Connection tracking of the sending port. */
  OUTGOING,
  OUTGOING_RULES,
  /** Balanced addresses become one backend's, and floating ones of the same router their port's. */
  BALANCE,
  /** Is it for the gateway? */
  GATEWAY,
  /** By network address. */
  ROUTE,
  /** By Ethernet address. */
  FORWARD,
  /** Connection tracking of the receiving port. */
  DELIVER,
  DELIVER_RULES,
  /** The real port. */
  OUTPUT,
  /** Addresses inside become addresses outside. */
  LEAVE,
  OUTSIDE;

  int table() {
    return ordinal();
  }
}
