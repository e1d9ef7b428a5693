/** Tests of tunnels and captures with programs that read them. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.port;
