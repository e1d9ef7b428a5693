/**
 * The one package with native calls into the host: memory mapping and terminal control through
 * java.lang.foreign.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.host;
