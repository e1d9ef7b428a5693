@NullMarked
package io.anillo.storage.disk;

import org.jspecify.annotations.NullMarked;
