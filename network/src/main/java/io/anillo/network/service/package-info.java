/**
 * The network of one host as a process of its own, which guests in other processes are plugged into
 * and which commands ask for changes.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.service;
