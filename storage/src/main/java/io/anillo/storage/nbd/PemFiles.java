package io.anillo.storage.nbd;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * TLS from a folder of PEM files with the names that QEMU and nbdkit use: {@code ca-cert.pem} and
 * {@code server-cert.pem} with {@code server-key.pem}, or {@code client-…}.
 */
public final class PemFiles {
  private static final Pattern BLOCK =
      Pattern.compile("-----BEGIN ([A-Z ]+)-----([^-]+)-----END [A-Z ]+-----");

  private PemFiles() {}

  /**
   * Reads a folder.
   *
   * @param role {@code server} or {@code client}
   */
  public static SSLContext context(Path folder, String role) throws IOException {
    try {
      KeyStore trusted = emptyStore();
      int index = 0;
      for (Certificate certificate : certificates(folder.resolve("ca-cert.pem"))) {
        trusted.setCertificateEntry("authority" + index++, certificate);
      }
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(trusted);
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      KeyStore own = emptyStore();
      Path keyFile = folder.resolve(role + "-key.pem");
      if (Files.exists(keyFile)) {
        Certificate[] chain =
            certificates(folder.resolve(role + "-cert.pem")).toArray(new Certificate[0]);
        own.setKeyEntry(role, privateKey(keyFile, chain[0]), new char[0], chain);
      } else if (role.equals("server")) {
        throw new IOException(keyFile + " does not exist");
      }
      keys.init(own, new char[0]);
      SSLContext context = SSLContext.getInstance("TLS");
      TrustManager[] judges = trust.getTrustManagers();
      for (int i = 0; i < judges.length; i++) {
        if (judges[i] instanceof X509ExtendedTrustManager judge) {
          judges[i] = new UnnamedAuthorities(judge);
        }
      }
      context.init(keys.getKeyManagers(), judges, null);
      return context;
    } catch (GeneralSecurityException failure) {
      throw new IOException(
          "the certificates in " + folder + " cannot be used: " + failure.getMessage(), failure);
    }
  }

  private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static Collection<? extends Certificate> certificates(Path file)
      throws IOException, GeneralSecurityException {
    if (!Files.exists(file)) {
      throw new IOException(file + " does not exist");
    }
    StringBuilder blocks = new StringBuilder();
    // certtool writes a description in front of each block
    Matcher matcher = BLOCK.matcher(Files.readString(file));
    while (matcher.find()) {
      blocks.append(matcher.group()).append('\n');
    }
    Collection<? extends Certificate> found =
        CertificateFactory.getInstance("X.509")
            .generateCertificates(
                new ByteArrayInputStream(blocks.toString().getBytes(StandardCharsets.US_ASCII)));
    if (found.isEmpty()) {
      throw new IOException(file + " holds no certificate");
    }
    return found;
  }

  private static PrivateKey privateKey(Path file, Certificate certificate)
      throws IOException, GeneralSecurityException {
    Matcher matcher = BLOCK.matcher(Files.readString(file));
    while (matcher.find()) {
      byte[] bytes = Base64.getMimeDecoder().decode(matcher.group(2));
      switch (matcher.group(1)) {
        case "PRIVATE KEY" -> {
          String algorithm = certificate.getPublicKey().getAlgorithm();
          return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(bytes));
        }
        case "RSA PRIVATE KEY" -> {
          return KeyFactory.getInstance("RSA")
              .generatePrivate(new PKCS8EncodedKeySpec(wrapRsa(bytes)));
        }
        default -> {}
      }
    }
    throw new IOException(file + " holds no private key that can be read (PKCS#8 or RSA)");
  }

  /** Puts a PKCS#1 key into the PKCS#8 form that the JDK reads (RFC 5208). */
  private static byte[] wrapRsa(byte[] key) {
    byte[] algorithm = {
      0x02,
      0x01,
      0x00,
      0x30,
      0x0d,
      0x06,
      0x09,
      0x2a,
      (byte) 0x86,
      0x48,
      (byte) 0x86,
      (byte) 0xf7,
      0x0d,
      0x01,
      0x01,
      0x01,
      0x05,
      0x00
    };
    byte[] octets = element(0x04, key);
    ByteBuffer body = ByteBuffer.allocate(algorithm.length + octets.length);
    return element(0x30, body.put(algorithm).put(octets).array());
  }

  private static byte[] element(int tag, byte[] body) {
    ByteBuffer bytes = ByteBuffer.allocate(5 + body.length);
    bytes.put((byte) tag).put((byte) 0x83);
    bytes.put((byte) (body.length >> 16)).put((byte) (body.length >> 8)).put((byte) body.length);
    return bytes.put(body).array();
  }
}
