package io.anillo.vmm.port;

/**
 * Where RDRAND, RDSEED and the entropy device get their bytes. The only source of chance in the
 * monitor.
 */
@FunctionalInterface
public interface EntropySource {

  void fill(byte[] destination);

  /** The host's secure generator. */
  static EntropySource system() {
    var random = new java.security.SecureRandom();
    return random::nextBytes;
  }
}
