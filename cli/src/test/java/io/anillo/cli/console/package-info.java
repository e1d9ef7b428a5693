/** Tests. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.console;
