/** The person's side of the guest's serial line: the terminal, its escape keys, files. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.console;
