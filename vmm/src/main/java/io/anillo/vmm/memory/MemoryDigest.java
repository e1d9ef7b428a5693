package io.anillo.vmm.memory;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** A digest of all RAM, by which two machines that should have come to the same are compared. */
public final class MemoryDigest {
  private MemoryDigest() {}

  /**
   * SHA-256 of all RAM in ascending order of its guest-physical addresses, as 64 hexadecimal
   * digits. Nothing may write to the memory meanwhile.
   */
  public static String sha256(GuestMemory memory) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] page = new byte[GuestMemory.PAGE_BYTES];
      for (long at = 0; at < memory.rangeBytes(); at += page.length) {
        if (memory.isRam(at)) {
          memory.read(at, page, 0, page.length);
          digest.update(page);
        }
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
