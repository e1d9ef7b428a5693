/**
 * The meaning of MMX and SSE to SSE4.2: pure functions on values, and the instructions made of
 * them.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.execute.simd;
