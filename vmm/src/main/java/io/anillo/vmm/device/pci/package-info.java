/**
 * PCI: host bridge, configuration space, base address registers, MSI-X, and the base class of PCI
 * devices.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.pci;
