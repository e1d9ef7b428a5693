/** The machine: its configuration, the board's wiring, the board executor and the virtual clock. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.machine;
