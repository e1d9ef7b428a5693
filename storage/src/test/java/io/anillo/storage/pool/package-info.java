@NullMarked
package io.anillo.storage.pool;

import org.jspecify.annotations.NullMarked;
