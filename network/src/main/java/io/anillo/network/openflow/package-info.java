/**
 * OpenFlow 1.3 on the wire: messages, matches, actions and statistics, and connections that carry
 * them.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.openflow;
