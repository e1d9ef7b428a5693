/**
 * Pools of disks and the thin volumes in them. {@code docs/storage.md} states the consistency model
 * and the on-disk format; the short of it: nothing that is in use is ever overwritten, every block
 * is checked on reading against a checksum kept with the pointer to it, and everything goes through
 * {@link io.anillo.storage.disk.Disk}.
 */
@NullMarked
package io.anillo.storage.pool;

import org.jspecify.annotations.NullMarked;
