package io.anillo.bench.guest;

import java.util.Optional;

/**
 * One program of a workload.
 *
 * @param group what it stands for in geometric means
 * @param checksum what it must print at its full size; empty when contenders are only compared with
 *     each other
 */
record Program(String name, Group group, Optional<String> checksum) {

  /** Kinds of work, each with a geometric mean of its own. */
  enum Group {
    INTEGER,
    FLOATING_POINT,
    MEMORY,
    SYSTEM,
    DISK,
    APPLICATION;

    String title() {
      return name().toLowerCase(java.util.Locale.ROOT).replace('_', ' ');
    }
  }
}
