/** Tests of the paravirtual interface as a guest sees it. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.hypercall;
