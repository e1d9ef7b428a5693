package io.anillo.storage.pool;

/** Receives what happens in a pool; called from any thread, must not block. */
@FunctionalInterface
public interface PoolListener {
  void event(PoolEvent event);
}
