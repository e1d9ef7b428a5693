package io.anillo.vmm.cpu;

/** Why {@link VirtualCpu#run} returned; always at an instruction boundary. */
public sealed interface Exit {

  /** HLT (or a wait for start-up): there is nothing to do until the board signals. */
  record Halted() implements Exit {}

  /** A triple fault. */
  record Shutdown(String cause) implements Exit {}

  /** The board kicked the processor, to apply events or to stop it. */
  record Interrupted() implements Exit {}

  /** The instruction budget given to {@code run} is used up. */
  record Deadline() implements Exit {}
}
