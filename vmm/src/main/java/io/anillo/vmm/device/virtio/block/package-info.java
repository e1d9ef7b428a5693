/** The virtio block device (virtio 1.2 §5.2). */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.block;
