/**
 * Guests made from a distribution's own packages, unmodified, and the cache they are kept in: the
 * default guest (a kernel and an initial RAM disk) and complete systems on a disk.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.image;
