@NullMarked
package io.anillo.storage.image;

import org.jspecify.annotations.NullMarked;
