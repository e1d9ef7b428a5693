/** Tests of the agent with OpenFlow's own tools. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.agent;
