/** Waiting in order: locks over ranges, and flushes shared by those who wait for them. */
@NullMarked
package io.anillo.storage.lock;

import org.jspecify.annotations.NullMarked;
