/** Timers and clocks: 8254 interval timer and MC146818 real-time clock. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.device.timer;
