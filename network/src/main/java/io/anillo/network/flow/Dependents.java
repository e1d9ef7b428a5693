package io.anillo.network.flow;

import java.util.Arrays;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What was derived from a flow, or from a table's having none, and ends when that changes. Those
 * that ended for another reason are dropped when the list would grow, so that it is never more than
 * twice as long as the most there were at once.
 */
public final class Dependents {
  /** Something derived. */
  public interface Dependent {
    /** Whether it has ended, and nobody need be told of it any more. */
    boolean gone();
  }

  private static final Dependent[] NONE = {};

  private @Nullable Dependent[] items = NONE;
  private int size;

  public void add(Dependent dependent) {
    if (size == items.length) {
      drop();
      if (size * 2 >= items.length) {
        items = Arrays.copyOf(items, Math.max(2, items.length * 2));
      }
    }
    items[size++] = dependent;
  }

  public void clear() {
    items = NONE;
    size = 0;
  }

  private void drop() {
    forEach(dependent -> {});
  }

  /**
   * Visits those that have not ended, and drops the others.
   *
   * @param visitor may end what it is given, but adds nothing here
   * @return how many are left
   */
  public int forEach(Consumer<Dependent> visitor) {
    int kept = 0;
    for (int i = 0; i < size; i++) {
      Dependent item = items[i];
      if (item == null || item.gone()) {
        continue;
      }
      visitor.accept(item);
      if (!item.gone()) {
        items[kept++] = item;
      }
    }
    Arrays.fill(items, kept, size, null);
    size = kept;
    return kept;
  }
}
