/**
 * Tests of the boot loaders with images made here; real kernels are booted by the tests of outer
 * modules.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.boot;
