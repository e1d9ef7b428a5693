/**
 * The {@code anillo} command: options, the terminal, exit statuses. What it runs is in the other
 * modules.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.cli;
