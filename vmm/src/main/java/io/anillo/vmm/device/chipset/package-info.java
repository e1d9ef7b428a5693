/**
 * The small devices of a PC's chipset: keyboard controller, port 0x92 and 0x61, debug consoles and
 * debug exit.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.chipset;
