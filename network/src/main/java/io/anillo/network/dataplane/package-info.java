/**
 * The virtual switch: ports, the flow cache, and the way of a packet from one port through the
 * tables to others.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.dataplane;
