/** ACPI: the power management registers, and the tables with their byte code. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.acpi;
