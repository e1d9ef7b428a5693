/**
 * Network block devices: a server and a client of the NBD protocol as the NBD project's {@code
 * doc/proto.md} defines it.
 */
@NullMarked
package io.anillo.storage.nbd;

import org.jspecify.annotations.NullMarked;
