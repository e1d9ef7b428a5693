@NullMarked
package io.anillo.storage.nbd;

import org.jspecify.annotations.NullMarked;
