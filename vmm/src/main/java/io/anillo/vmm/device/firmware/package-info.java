/** What a firmware would tell an operating system: fw_cfg and the map of physical memory. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.firmware;
