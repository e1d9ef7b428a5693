package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.mmu.TlbArray;

/**
 * The machine that regions are made for.
 *
 * @param ordered whether several processors run, which makes the order of memory accesses visible
 */
record RegionMachine(GuestMemory memory, TlbArray tlb, boolean ordered) {}
