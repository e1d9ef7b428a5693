/** What a real disk promises, and no more: reads, writes that last only once flushed. */
@NullMarked
package io.anillo.storage.disk;

import org.jspecify.annotations.NullMarked;
