/**
 * Guest memory, the one audited class that touches it, and the map of what lies at which physical
 * address.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.memory;
