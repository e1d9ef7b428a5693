/** Serial lines: the 16550A. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.serial;
