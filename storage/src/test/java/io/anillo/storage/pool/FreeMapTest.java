package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The two levels of a map of free space agree with a plain set of bits. */
class FreeMapTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 63, 64, 65, 127, 128, 1000, 4096, 5000, 8192})
  void tellsWhatABitSetTells(int size) {
    long seed = Long.getLong("anillo.seed", System.nanoTime());
    System.out.println("seed " + seed + " for " + size);
    Random random = new Random(seed);
    FreeMap map = new FreeMap(size);
    BitSet taken = new BitSet();
    agree(map, taken, size, random);
    for (int i = 0; i < 3000; i++) {
      int first = random.nextInt(size);
      int count = 1 + random.nextInt(Math.min(size - first, 1 << random.nextInt(13)));
      boolean free = taken.get(first, first + count).isEmpty();
      assertThat(map.isFree(first, count)).isEqualTo(free);
      if (free && random.nextInt(4) > 0) {
        map.take(first, count);
        taken.set(first, first + count);
      } else if (random.nextInt(3) > 0) {
        map.giveBack(first, count);
        taken.clear(first, first + count);
      }
      agree(map, taken, size, random);
    }
  }

  private static void agree(FreeMap map, BitSet taken, int size, Random random) {
    assertThat(map.free()).isEqualTo(size - taken.cardinality());
    int from = random.nextInt(size + 1);
    assertThat(map.nextFree(from)).isEqualTo(Math.min(size, taken.nextClearBit(from)));
    int most = random.nextInt(300);
    int next = taken.nextSetBit(from);
    int end = Math.min(size, from + most);
    assertThat(map.endOfFree(from, most)).isEqualTo(next < 0 ? end : Math.min(end, next));
    assertThat(map.nextLong(from)).isEqualTo(nextLong(taken, size, from));
    assertThat(map.hasLong()).isEqualTo(nextLong(taken, size, 0) >= 0);
  }

  private static int nextLong(BitSet taken, int size, int from) {
    for (int first = (from + 63) / 64 * 64; first + 64 <= size; first += 64) {
      if (taken.get(first, first + 64).isEmpty()) {
        return first;
      }
    }
    return -1;
  }
}
