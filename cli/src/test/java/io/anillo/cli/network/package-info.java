/** Tests of the network commands. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.network;
