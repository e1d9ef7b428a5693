/** Tests of the data plane by itself. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.dataplane;
