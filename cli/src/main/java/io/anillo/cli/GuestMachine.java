package io.anillo.cli;

import java.util.Map;
import java.util.OptionalLong;

/** A machine as the command line drives it: made, run to its end, closed. */
interface GuestMachine extends AutoCloseable {

  /** Makes machines. */
  @FunctionalInterface
  interface Factory {

    /**
     * Makes a machine with its kernel loaded.
     *
     * @throws CommandException when it cannot be made as planned
     */
    GuestMachine create(MachinePlan plan) throws CommandException;
  }

  /** How a machine ended. */
  sealed interface Outcome {
    record PoweredOff() implements Outcome {}

    /** The guest reset itself, and the plan says that this is the end. */
    record Reset(String cause) implements Outcome {}

    record DebugExit(int value) implements Outcome {}

    /** {@link #stop} was called. */
    record Stopped() implements Outcome {}
  }

  /** Runs the guest until it ends. Called once. */
  Outcome run() throws InterruptedException;

  /**
   * Ends the run soon, as if the power failed. May be called from any thread, before or after the
   * run too.
   */
  void stop();

  /**
   * Numbers for {@code --stats}: strings, numbers, booleans, and maps of them. Called after the
   * run.
   */
  Map<String, Object> statistics();

  /** The counters of a running machine, as lines of text. From any thread. */
  default String liveView() {
    return "";
  }

  /** {@link System#nanoTime} when the guest first ran code in ring 3, where that was measured. */
  default OptionalLong firstUserCode() {
    return OptionalLong.empty();
  }

  /** Whether the guest has told that its kernel panicked. */
  default boolean guestPanicked() {
    return false;
  }

  /** What a developer wants to know after a fault: registers, devices. Called at any time. */
  String describe();

  @Override
  void close();
}
