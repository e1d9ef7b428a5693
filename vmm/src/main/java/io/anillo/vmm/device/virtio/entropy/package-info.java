/** The virtio entropy device (virtio 1.2 §5.4). */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.entropy;
