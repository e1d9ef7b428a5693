/**
 * The interpreter: decoded blocks of steps, cached by physical page, and the loop that runs them.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.interpret;
