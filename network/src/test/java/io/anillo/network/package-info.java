/** Tests of the network module, against real peers where there are any. */
@org.jspecify.annotations.NullMarked
package io.anillo.network;
