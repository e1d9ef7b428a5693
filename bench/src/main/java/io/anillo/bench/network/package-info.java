/** The virtual network side by side with its peers: {@code ./anillo bench network}. */
@org.jspecify.annotations.NullMarked
package io.anillo.bench.network;
