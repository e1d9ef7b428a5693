/** The simplest networks: backends that need nothing but the JDK. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.network;
