/** Page walks, TLBs and faults. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.mmu;
