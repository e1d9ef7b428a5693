/** What storage does next to QEMU's and nbdkit's servers: {@code ./anillo bench storage}. */
@org.jspecify.annotations.NullMarked
package io.anillo.bench.storage;
