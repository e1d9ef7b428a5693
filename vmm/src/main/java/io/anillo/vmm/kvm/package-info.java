/**
 * The engine that lets the hardware run guest code: Linux's {@code /dev/kvm} through {@code
 * java.lang.foreign}.
 *
 * <p>Interrupt controllers and timers stay the board's own, so that a machine moves between engines
 * with nothing translated, and so that every exit is counted: KVM's in-kernel controllers are not
 * used.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.kvm;
