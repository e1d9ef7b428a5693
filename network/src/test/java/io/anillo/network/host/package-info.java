/** Tests of interfaces of this host. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.host;
