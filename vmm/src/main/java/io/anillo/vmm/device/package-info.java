/** Devices and their one life cycle; a package per family below. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device;
