@NullMarked
package io.anillo.storage.crash;

import org.jspecify.annotations.NullMarked;
