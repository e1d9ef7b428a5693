/**
 * Interrupt controllers: 8259A pair, local APIC, I/O APIC, and the fabric that messages travel on.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.interrupt;
