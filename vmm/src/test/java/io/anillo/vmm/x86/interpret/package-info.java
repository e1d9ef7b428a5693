/** The interpreter's loop: paging, interrupts, debugging, code that changes, and garbage. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.interpret;
