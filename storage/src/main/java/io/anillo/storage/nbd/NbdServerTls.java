package io.anillo.storage.nbd;

import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;

/**
 * How a server uses TLS.
 *
 * @param required refuses everything in the clear
 * @param verifyClients asks clients for a certificate that the context trusts
 */
public record NbdServerTls(SSLContext context, boolean required, boolean verifyClients) {
  SSLEngine newEngine() {
    SSLEngine engine = context.createSSLEngine();
    engine.setUseClientMode(false);
    engine.setNeedClientAuth(verifyClients);
    return engine;
  }
}
