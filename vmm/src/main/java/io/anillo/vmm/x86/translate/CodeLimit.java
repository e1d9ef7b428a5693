package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.ArrayDeque;

/**
 * Keeps the code of regions within a limit, whatever code a guest makes: the oldest regions are
 * given up first. Those still hot come again soon. What is given up is memory for HotSpot to
 * reclaim, class and machine code.
 */
final class CodeLimit {
  /** Class files; their machine code takes about as much again, or twice as much. */
  private static final long DEFAULT_BYTES = 64L << 20;

  private final CodeCache codeCache;
  private final ArrayDeque<Translation> kept = new ArrayDeque<>();
  private long limitBytes = DEFAULT_BYTES;
  private long bytes;
  private long evictions;

  CodeLimit(CodeCache codeCache) {
    this.codeCache = codeCache;
  }

  synchronized void limit(long newLimitBytes) {
    limitBytes = newLimitBytes;
    evict();
  }

  synchronized void installed(Translation translation) {
    kept.addLast(translation);
    bytes += translation.bytes();
    evict();
  }

  /** Gives up code that something better was made for. */
  synchronized void replaced(CompiledCode code) {
    kept.removeIf(each -> {
      if (each.code() != code) {
        return false;
      }
      bytes -= each.bytes();
      return true;
    });
    codeCache.evict(code);
  }

  private void evict() {
    if (bytes > limitBytes) {
      kept.removeIf(this::isGone);
    }
    while (bytes > limitBytes && kept.size() > 1) {
      Translation oldest = kept.removeFirst();
      bytes -= oldest.bytes();
      codeCache.evict(oldest.code());
      evictions++;
    }
  }

  /** The guest overwrote its code. */
  private boolean isGone(Translation translation) {
    if (translation.code().valid) {
      return false;
    }
    bytes -= translation.bytes();
    return true;
  }

  synchronized long keptBytes() {
    return bytes;
  }

  synchronized long evictions() {
    return evictions;
  }
}
