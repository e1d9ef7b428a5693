/**
 * The privileged half of the processor: segments, far transfers, interrupts, tasks, control, debug
 * and model-specific registers. Every entry point is a static method on a {@link
 * io.anillo.vmm.x86.execute.Processor}; it throws {@link io.anillo.vmm.x86.execute.GuestFault}
 * before it has changed any state that the restarted instruction could see.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.execute.system;
