@NullMarked
package io.anillo.storage.block;

import org.jspecify.annotations.NullMarked;
