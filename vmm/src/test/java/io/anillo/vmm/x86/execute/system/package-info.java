/** Tests of the privileged half of the processor, on small guests in flat memory. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.execute.system;
