package io.anillo.storage.pool;

/**
 * Which granules of a group are taken. A second level tells for every 64 adjacent ones whether all
 * are free, so that long runs are found without a look at the short ones between them. Hot: every
 * write takes from it and gives back to it. Not thread-safe.
 */
final class FreeMap {
  /** Adjacent granules, from a multiple of this on, that {@link #nextLong} finds. */
  static final int WORD = 64;

  private static final long[] NONE = {};

  private final int size;
  private int free;
  private int longWords;

  /** A bit for each granule: taken. Empty while all are free. */
  private long[] taken = NONE;

  /** A bit for each word of {@link #taken}: not zero. */
  private long[] touched = NONE;

  FreeMap(int size) {
    this.size = size;
    this.free = size;
    this.longWords = size / WORD;
  }

  int size() {
    return size;
  }

  int free() {
    return free;
  }

  /** Whether {@link #nextLong} finds anything. */
  boolean hasLong() {
    return longWords > 0;
  }

  private void allocate() {
    int words = (size + WORD - 1) / WORD;
    taken = new long[words];
    touched = new long[(words + 63) / 64];
    // what lies behind the end is never free
    if (size % WORD != 0) {
      taken[words - 1] = -1L << size;
      touched[(words - 1) >> 6] |= 1L << (words - 1);
    }
    if (words % 64 != 0) {
      touched[touched.length - 1] |= -1L << words;
    }
  }

  boolean isFree(int first, int count) {
    return endOfFree(first, count) == first + count;
  }

  /** Takes granules that are free. */
  void take(int first, int count) {
    if (taken.length == 0) {
      allocate();
    }
    int end = first + count;
    for (int word = first >> 6; word <= (end - 1) >> 6; word++) {
      if (taken[word] == 0) {
        longWords--;
        touched[word >> 6] |= 1L << word;
      }
      taken[word] |= mask(word, first, end);
    }
    free -= count;
  }

  /** Gives granules back; those that are free stay so. */
  void giveBack(int first, int count) {
    int end = first + count;
    for (int word = first >> 6; word <= (end - 1) >> 6 && word < taken.length; word++) {
      long given = taken[word] & mask(word, first, end);
      if (given != 0) {
        free += Long.bitCount(given);
        taken[word] ^= given;
        if (taken[word] == 0) {
          longWords++;
          touched[word >> 6] &= ~(1L << word);
        }
      }
    }
  }

  /** The bits of a word that lie from {@code first} to before {@code end}; one at least does. */
  private static long mask(int word, int first, int end) {
    long mask = -1L;
    if (first > word << 6) {
      mask &= -1L << first;
    }
    if (end < (word + 1) << 6) {
      mask &= (1L << end) - 1;
    }
    return mask;
  }

  /** The first free granule from one on; {@link #size} when there is none. */
  int nextFree(int from) {
    if (from >= size) {
      return size;
    }
    if (taken.length == 0) {
      return from;
    }
    int word = from >> 6;
    long bits = ~taken[word] & -1L << from;
    while (bits == 0) {
      if (++word == taken.length) {
        return size;
      }
      bits = ~taken[word];
    }
    return word * WORD + Long.numberOfTrailingZeros(bits);
  }

  /** The first granule from one on that is taken, or the end of what was asked for or there is. */
  int endOfFree(int from, int most) {
    int end = Math.min(size, from + most);
    if (taken.length == 0 || from >= end) {
      return Math.max(from, end);
    }
    int word = from >> 6;
    long bits = taken[word] & -1L << from;
    while (bits == 0) {
      if (++word << 6 >= end) {
        return end;
      }
      bits = taken[word];
    }
    return Math.min(end, word * WORD + Long.numberOfTrailingZeros(bits));
  }

  /**
   * The first granule from one on that begins an aligned free run of {@link #WORD}; -1 when there
   * is none.
   */
  int nextLong(int from) {
    int word = (from + WORD - 1) >> 6;
    if (taken.length == 0) {
      return (word + 1) * WORD <= size ? word * WORD : -1;
    }
    if (word >= taken.length) {
      return -1;
    }
    int summary = word >> 6;
    long bits = ~touched[summary] & -1L << word;
    while (bits == 0) {
      if (++summary == touched.length) {
        return -1;
      }
      bits = ~touched[summary];
    }
    return (summary * 64 + Long.numberOfTrailingZeros(bits)) * WORD;
  }
}
