/** Loaders: what puts a kernel into memory and the processor at its entry. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.boot;
