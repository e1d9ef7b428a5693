/** The virtio memory balloon (virtio 1.2 §5.5). */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.balloon;
