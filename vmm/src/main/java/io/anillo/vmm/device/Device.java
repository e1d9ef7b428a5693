package io.anillo.vmm.device;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * A device on the board, and its one life cycle.
 *
 * <p>Order against the processors: {@link #reset} is called before the first instruction and again
 * at every machine reset, with all processors stopped at an instruction boundary. {@link #start}
 * comes once, after the first reset and before the first instruction; from then on backends may
 * post events. {@link #pause} and {@link #resume} are called with all processors stopped; between
 * them the device posts nothing, arms no host timer and starts no external work, and external work
 * that was under way has been waited for or is remembered as pending. {@link #save} and {@link
 * #restore} come only while paused, or before {@code start}. {@link #stop} is the last call and
 * releases backends.
 *
 * <p>All calls, and all port and memory accesses, are made on the board (under the board's lock),
 * so that a device needs no locks of its own. What happens outside (a disk read, an arriving frame)
 * is posted through an {@link EventChannel} and applied on the board.
 */
public interface Device {

  /** A name unique on the board, stable across versions: it labels the device's state record. */
  String name();

  void reset();

  default void start() {}

  default void pause() {}

  default void resume() {}

  default void stop() {}

  /** Writes everything that a guest can observe or that decides what it will observe. */
  void save(StateWriter out);

  /**
   * Takes back what {@link #save} wrote, on a freshly constructed and reset device.
   *
   * @throws io.anillo.vmm.state.StateException when the record does not fit this device
   */
  void restore(StateReader in);
}
