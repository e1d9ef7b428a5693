/**
 * The guest's side of virtio for tests: a driver that finds, negotiates with and uses a device as a
 * real one does.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.guest;
