@NullMarked
package io.anillo.storage;

import org.jspecify.annotations.NullMarked;
