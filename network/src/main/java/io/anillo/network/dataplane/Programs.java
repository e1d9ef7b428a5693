package io.anillo.network.dataplane;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The lists of operations that cached paths share, by number: few, so that they stay near the
 * processor however many paths there are.
 */
final class Programs {
  /** The number of operations that only their path knows, once all other numbers are taken. */
  static final int UNSHARED = 0x3fff;

  /** The first number: 0 means none. */
  private static final int FIRST = 1;

  private final Map<List<Operation>, Integer> numbers = new HashMap<>();
  private Operation[][] programs = new Operation[16][];
  private int count = FIRST;

  /** The number of equal operations. */
  int number(Operation[] operations) {
    List<Operation> key = List.of(operations);
    Integer known = numbers.get(key);
    if (known != null) {
      return known;
    }
    if (count == UNSHARED) {
      return UNSHARED;
    }
    if (count == programs.length) {
      programs = java.util.Arrays.copyOf(programs, count * 2);
    }
    programs[count] = operations;
    numbers.put(key, count);
    return count++;
  }

  Operation[] get(int number) {
    return programs[number];
  }

  void clear() {
    numbers.clear();
    programs = new Operation[16][];
    count = FIRST;
  }
}
