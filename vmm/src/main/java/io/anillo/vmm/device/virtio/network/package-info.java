/** The virtio network device (virtio 1.2 §5.1). */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.network;
