/** Bytes to instruction forms, one table. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.decode;
