/** What every engine shares: the architectural state, the processor model, the exits. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.cpu;
