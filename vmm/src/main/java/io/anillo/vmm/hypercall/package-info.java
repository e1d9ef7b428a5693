/**
 * The paravirtual interface that aware guests find by CPUID at 0x40000000: KVM's, which unmodified
 * distributions' kernels speak, and at 0x40000100 our own (docs/hypercalls.md).
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.hypercall;
