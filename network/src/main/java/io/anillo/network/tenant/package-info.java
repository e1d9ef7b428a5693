/**
 * What tenants know of their networks: logical switches, ports, routers, security groups,
 * balancers; and how these become flows on real switches.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.tenant;
