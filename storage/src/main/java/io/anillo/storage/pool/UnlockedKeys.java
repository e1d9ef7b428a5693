package io.anillo.storage.pool;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The volume keys that were unlocked since the pool was opened. Deriving a key from a passphrase is
 * slow on purpose; a passphrase that has been right before is recognised by a keyed hash, whose key
 * lives as long as this object.
 */
final class UnlockedKeys {
  private record Unlocked(byte[] proof, VolumeCipher cipher) {}

  private final Map<ByteBuffer, Unlocked> byWrappedKey = new ConcurrentHashMap<>();
  private final byte[] secret = new byte[32];

  UnlockedKeys() {
    new SecureRandom().nextBytes(secret);
  }

  /** The cipher of a volume, for whoever knows its passphrase. */
  VolumeCipher unlock(byte[] wrappedKey, char[] passphrase) throws IOException {
    byte[] proof = proof(passphrase);
    Unlocked known = byWrappedKey.get(ByteBuffer.wrap(wrappedKey));
    if (known != null && MessageDigest.isEqual(known.proof, proof)) {
      return known.cipher;
    }
    VolumeCipher cipher = VolumeCipher.unlock(wrappedKey, passphrase);
    byWrappedKey.put(ByteBuffer.wrap(wrappedKey.clone()), new Unlocked(proof, cipher));
    return cipher;
  }

  private byte[] proof(char[] passphrase) throws IOException {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(secret, "HmacSHA256"));
      mac.update(StandardCharsets.UTF_8.encode(CharBuffer.wrap(passphrase)));
      return mac.doFinal();
    } catch (GeneralSecurityException failure) {
      throw new IOException("the passphrase cannot be checked", failure);
    }
  }
}
