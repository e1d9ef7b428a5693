/** The host's interfaces: TAP devices and packet sockets, the only native calls of this module. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.host;
