/** Tests of what every engine shares. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.cpu;
