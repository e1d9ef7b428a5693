package io.anillo.vmm.device.disk;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * Which files this process uses as disks. The operating system's locks belong to the process and
 * vanish when any of its descriptors of the file is closed (POSIX), so a second opening must be
 * refused before the file is opened at all.
 */
final class FileClaims {
  private static final Map<Object, FileClaims> CLAIMS = new HashMap<>();
  private static final int WRITER = -1;

  private final Object key;

  /** Number of readers, or {@link #WRITER}. */
  private int users;

  private FileClaims(Object key) {
    this.key = key;
  }

  /**
   * Claims a file for one writer or among several readers; null when it is taken.
   *
   * @throws IOException when the file cannot be looked at
   */
  static @org.jspecify.annotations.Nullable FileClaims claim(Path file, boolean readOnly)
      throws IOException {
    Object identity =
        Files.readAttributes(file, java.nio.file.attribute.BasicFileAttributes.class).fileKey();
    Object key = identity == null ? file.toRealPath() : identity;
    synchronized (CLAIMS) {
      FileClaims claim = CLAIMS.computeIfAbsent(key, FileClaims::new);
      if (claim.users == WRITER || (claim.users > 0 && !readOnly)) {
        return null;
      }
      claim.users = readOnly ? claim.users + 1 : WRITER;
      return claim;
    }
  }

  /**
   * Whether the caller is the only one in this process, so that the operating system's lock is its
   * to take.
   */
  boolean first() {
    synchronized (CLAIMS) {
      return users == WRITER || users == 1;
    }
  }

  void release() {
    synchronized (CLAIMS) {
      users = users == WRITER ? 0 : users - 1;
      if (users == 0) {
        CLAIMS.remove(key);
      }
    }
  }
}
