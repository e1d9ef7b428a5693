/** Tests of guest memory. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.memory;
