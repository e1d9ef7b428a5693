/** The few calls of the host's C library that the JDK does not offer for files. */
@NullMarked
package io.anillo.storage.host;

import org.jspecify.annotations.NullMarked;
