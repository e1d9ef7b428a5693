/** The meaning of instructions, written once, and the interpreter that calls it. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.execute;
