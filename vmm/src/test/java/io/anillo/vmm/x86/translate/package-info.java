/** Tests of the translator's own parts; what translated code does is tested with the vectors. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.translate;
