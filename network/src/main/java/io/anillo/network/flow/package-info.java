/** What an OpenFlow pipeline is made of: matches, actions, flow tables, groups and meters. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.flow;
