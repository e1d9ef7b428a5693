/**
 * The ports: small interfaces through which the machine reaches the world outside it. Outer modules
 * implement them.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.port;
