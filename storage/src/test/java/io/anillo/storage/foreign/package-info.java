@NullMarked
package io.anillo.storage.foreign;

import org.jspecify.annotations.NullMarked;
