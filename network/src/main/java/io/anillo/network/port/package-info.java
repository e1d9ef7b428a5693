/**
 * What switch ports can be besides guests and interfaces: tunnels, captures, mirrors and streams to
 * other processes.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.port;
