/** Tests of the user-mode uplink with the Linux kernel's own stack as the guest. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.uplink;
