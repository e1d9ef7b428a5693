/**
 * The way out without privileges: a gateway that turns the guest's packets into the host's sockets.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.uplink;
