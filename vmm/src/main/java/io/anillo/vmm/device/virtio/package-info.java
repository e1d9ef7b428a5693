/**
 * Virtio 1.2 devices: split virtqueues, the PCI transport, and what every kind of device shares.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio;
