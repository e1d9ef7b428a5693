/** Tests of the side-by-side runs. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.techniques;
