/** Block devices as images, volumes and network peers offer them, with their allocation. */
@NullMarked
package io.anillo.storage.block;

import org.jspecify.annotations.NullMarked;
