package io.anillo.storage.pool;

import static io.anillo.storage.pool.BlockPointer.UNIT_BYTES;

import com.amazon.corretto.crypto.provider.AmazonCorrettoCryptoProvider;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.concurrent.ConcurrentLinkedQueue;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * AES-256-XTS over units of 4 KiB (IEEE 1619), the tweak being the unit's number in the volume. The
 * 64-byte key is random and stored wrapped with AES-256-GCM under a key that PBKDF2 with
 * HMAC-SHA-512 derives from the passphrase: iterations (4 bytes), salt (16), nonce (12), wrapped
 * key (80).
 */
final class VolumeCipher {
  private static final int KEY_BYTES = 64;
  private static final int ITERATIONS = 210_000;
  private static final int SALT_BYTES = 16;
  private static final int NONCE_BYTES = 12;
  private static final int MAX_ITERATIONS = 10_000_000;

  /** The wrapped key with all that belongs to it. */
  static final int STORED_KEY_BYTES = 4 + SALT_BYTES + NONCE_BYTES + KEY_BYTES + 16;

  private final SecretKeySpec key;
  private final ConcurrentLinkedQueue<Cipher> idle = new ConcurrentLinkedQueue<>();

  private VolumeCipher(byte[] key) {
    this.key = new SecretKeySpec(key, "AES");
  }

  /** A new random key, wrapped. */
  static byte[] newKey(char[] passphrase) throws IOException {
    SecureRandom random = new SecureRandom();
    byte[] fresh = new byte[KEY_BYTES];
    byte[] salt = new byte[SALT_BYTES];
    byte[] nonce = new byte[NONCE_BYTES];
    random.nextBytes(fresh);
    random.nextBytes(salt);
    random.nextBytes(nonce);
    try {
      Cipher wrap = Cipher.getInstance("AES/GCM/NoPadding");
      wrap.init(
          Cipher.ENCRYPT_MODE,
          derive(passphrase, salt, ITERATIONS),
          new GCMParameterSpec(128, nonce));
      byte[] wrapped = wrap.doFinal(fresh);
      return ByteBuffer.allocate(4 + SALT_BYTES + NONCE_BYTES + wrapped.length)
          .putInt(ITERATIONS)
          .put(salt)
          .put(nonce)
          .put(wrapped)
          .array();
    } catch (GeneralSecurityException failure) {
      throw new IOException("a key could not be made", failure);
    } finally {
      Arrays.fill(fresh, (byte) 0);
    }
  }

  /** Opens a wrapped key. */
  static VolumeCipher unlock(byte[] stored, char[] passphrase) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(stored);
    int iterations = bytes.getInt();
    if (iterations < 1000 || iterations > MAX_ITERATIONS) {
      throw new IOException("the volume's key is damaged");
    }
    byte[] salt = new byte[SALT_BYTES];
    byte[] nonce = new byte[NONCE_BYTES];
    byte[] wrapped = new byte[stored.length - 4 - SALT_BYTES - NONCE_BYTES];
    bytes.get(salt).get(nonce).get(wrapped);
    try {
      Cipher unwrap = Cipher.getInstance("AES/GCM/NoPadding");
      unwrap.init(
          Cipher.DECRYPT_MODE,
          derive(passphrase, salt, iterations),
          new GCMParameterSpec(128, nonce));
      return new VolumeCipher(unwrap.doFinal(wrapped));
    } catch (AEADBadTagException wrong) {
      throw new IOException("the passphrase does not fit", wrong);
    } catch (GeneralSecurityException failure) {
      throw new IOException("the volume's key cannot be opened", failure);
    }
  }

  private static SecretKeySpec derive(char[] passphrase, byte[] salt, int iterations)
      throws GeneralSecurityException {
    byte[] derived =
        SecretKeyFactory.getInstance("PBKDF2WithHmacSHA512")
            .generateSecret(new PBEKeySpec(passphrase, salt, iterations, 256))
            .getEncoded();
    return new SecretKeySpec(derived, "AES");
  }

  void encrypt(long firstUnit, ByteBuffer bytes) throws IOException {
    apply(Cipher.ENCRYPT_MODE, firstUnit, bytes);
  }

  void decrypt(long firstUnit, ByteBuffer bytes) throws IOException {
    apply(Cipher.DECRYPT_MODE, firstUnit, bytes);
  }

  private void apply(int mode, long firstUnit, ByteBuffer bytes) throws IOException {
    try {
      Cipher cipher = idle.poll();
      if (cipher == null) {
        cipher = Cipher.getInstance("AES/XTS/NoPadding", AmazonCorrettoCryptoProvider.INSTANCE);
      }
      byte[] tweak = new byte[16];
      byte[] unit = new byte[UNIT_BYTES];
      for (int at = 0; at < bytes.limit(); at += UNIT_BYTES) {
        ByteBuffer.wrap(tweak)
            .order(java.nio.ByteOrder.LITTLE_ENDIAN)
            .putLong(0, firstUnit + at / UNIT_BYTES);
        try {
          cipher.init(mode, key, new IvParameterSpec(tweak));
        } catch (java.security.InvalidAlgorithmParameterException repeated) {
          // the provider guards against a tweak used twice in a row, which rewriting a block is
          cipher = Cipher.getInstance("AES/XTS/NoPadding", AmazonCorrettoCryptoProvider.INSTANCE);
          cipher.init(mode, key, new IvParameterSpec(tweak));
        }
        bytes.get(at, unit);
        bytes.put(at, cipher.doFinal(unit));
      }
      idle.offer(cipher);
    } catch (GeneralSecurityException failure) {
      throw new IOException("the volume's cipher failed", failure);
    }
  }
}
