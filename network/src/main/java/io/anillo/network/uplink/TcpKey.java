package io.anillo.network.uplink;

/** Which connection a segment belongs to, seen from the guest. */
record TcpKey(Endpoint guest, int guestPort, Endpoint remote, int remotePort) {}
