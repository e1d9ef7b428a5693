/** Tests of the engine on KVM; skipped where the host has none. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.kvm;
