/** Tests of the network service through its control socket. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.service;
