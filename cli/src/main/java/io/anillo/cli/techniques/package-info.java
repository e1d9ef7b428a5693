/** {@code anillo techniques}: the same work under each technique of virtualization. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.techniques;
