/** Virtual networks: a programmable switch, its controller, and the user-mode way out. */
@org.jspecify.annotations.NullMarked
package io.anillo.network;
