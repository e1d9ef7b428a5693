/**
 * Measurements, most of them next to a peer in one run: {@code ./anillo bench}. Figures that are
 * promised stand in SPECIFICATION.md.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.bench;
