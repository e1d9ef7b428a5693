package io.anillo.vmm.device;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.EntropySource;

/** What a device may use of the board it sits on. */
public interface Board {

  /**
   * Virtual nanoseconds since the machine was first started; stands still while the machine is
   * paused.
   */
  long nowNanos();

  /** Wall-clock time of virtual moment 0, in nanoseconds since 1970-01-01T00:00:00Z. */
  long wallOriginNanos();

  GuestMemory memory();

  Bus bus();

  EntropySource entropy();

  /** Makes a timer. The name is unique on the board and labels its expiries in a recording. */
  BoardTimer timer(String name, Runnable onExpiry);

  /**
   * Makes an event channel. The name is unique on the board and labels its payloads in a recording.
   */
  EventChannel channel(String name, EventChannel.Handler handler);

  /** Asks for the end of the machine's run, at the next instruction boundary. */
  void request(MachineRequest request);
}
