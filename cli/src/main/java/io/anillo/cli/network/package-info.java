/**
 * {@code anillo network}: starts the network of this host and asks it for switches, ports, routers,
 * policies and balancers.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.network;
