/** The OpenFlow 1.3 agent: lets controllers program a virtual switch. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.agent;
