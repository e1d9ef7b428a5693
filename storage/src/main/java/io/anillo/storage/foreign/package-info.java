/** Formats of other platforms, read for import. */
@NullMarked
package io.anillo.storage.foreign;

import org.jspecify.annotations.NullMarked;
