/** Frames and their headers: parsing into flow keys, and changing headers in place. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.packet;
