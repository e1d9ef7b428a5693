@NullMarked
package io.anillo.storage.peer;

import org.jspecify.annotations.NullMarked;
