/** The virtio console (virtio 1.2 §5.3). */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.virtio.console;
