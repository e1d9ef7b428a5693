package io.anillo.network.dataplane;

/** A wire that reads a packet's tunnel fields when it sends. */
public interface TunnelWire extends PortWire {}
