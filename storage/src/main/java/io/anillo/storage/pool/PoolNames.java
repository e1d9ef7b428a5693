package io.anillo.storage.pool;

import java.util.regex.Pattern;

/** The names that pools, volumes and snapshots may have. */
final class PoolNames {
  private static final Pattern VALID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");

  private PoolNames() {}

  static boolean valid(String name) {
    return VALID.matcher(name).matches();
  }

  static void requireValid(String name) {
    if (!valid(name)) {
      throw new IllegalArgumentException(
          "\"" + name + "\" is no valid name: letters, digits and . _ - only, at most 100");
    }
  }
}
