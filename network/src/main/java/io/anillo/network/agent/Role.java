package io.anillo.network.agent;

/** What a controller may do, in the order of the numbers on the wire (OpenFlow 1.3.5 §7.3.9). */
enum Role {
  NO_CHANGE,
  EQUAL,
  MASTER,
  SLAVE
}
