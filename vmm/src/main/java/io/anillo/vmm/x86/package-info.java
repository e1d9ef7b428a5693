/** The x86-64 processor in software. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86;
