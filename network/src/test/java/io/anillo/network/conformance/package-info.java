/** The data plane compared with Open vSwitch's, packet by packet. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.conformance;
