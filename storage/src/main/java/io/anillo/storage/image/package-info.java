/** Disk images of any format: found out, opened with what they build on, copied and compared. */
@NullMarked
package io.anillo.storage.image;

import org.jspecify.annotations.NullMarked;
