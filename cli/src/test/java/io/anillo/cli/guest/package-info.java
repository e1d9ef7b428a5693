/** Tests that type at the real default guest through its console. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.guest;
