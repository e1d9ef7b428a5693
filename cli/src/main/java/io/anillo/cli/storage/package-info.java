/** The commands {@code anillo disk}, {@code anillo pool} and {@code anillo volume}. */
@NullMarked
package io.anillo.cli.storage;

import org.jspecify.annotations.NullMarked;
