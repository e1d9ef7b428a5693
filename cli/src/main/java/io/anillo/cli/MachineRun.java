package io.anillo.cli;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/** One machine's run under supervision: a time limit, signals, a person who quits. */
final class MachineRun {
  /** How long a machine that was told to stop may take before the process ends without it. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private static final int NOT_STOPPED = -1;

  private final Runnable restoreTerminal;
  private final AtomicInteger stopStatus = new AtomicInteger(NOT_STOPPED);
  private volatile Optional<GuestMachine> machine = Optional.empty();

  /**
   * Prepares a run.
   *
   * @param restoreTerminal called before the process is ended by force
   */
  MachineRun(Runnable restoreTerminal) {
    this.restoreTerminal = restoreTerminal;
  }

  /**
   * Ends the run with a status, unless it was already told to end. May be called before it began.
   */
  void stop(int status) {
    if (!stopStatus.compareAndSet(NOT_STOPPED, status)) {
      return;
    }
    machine.ifPresent(GuestMachine::stop);
    Thread.ofPlatform().daemon().name("stop").start(() -> endByForce(status));
  }

  private void endByForce(int status) {
    try {
      Thread.sleep(PATIENCE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return;
    }
    restoreTerminal.run();
    Runtime.getRuntime().halt(status);
  }

  /**
   * Runs the machine to its end.
   *
   * @return the command's exit status
   */
  int run(GuestMachine guest, Optional<Duration> timeout) throws InterruptedException {
    machine = Optional.of(guest);
    if (stopStatus.get() != NOT_STOPPED) {
      return stopStatus.get();
    }
    timeout.ifPresent(limit ->
        Thread.ofPlatform()
            .daemon()
            .name("timeout")
            .start(() -> {
              try {
                Thread.sleep(limit);
                stop(ExitStatus.TIMEOUT);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            }));
    return switch (guest.run()) {
      case GuestMachine.Outcome.PoweredOff powered -> ExitStatus.POWERED_OFF;
      case GuestMachine.Outcome.Reset reset -> ExitStatus.POWERED_OFF;
      case GuestMachine.Outcome.DebugExit exit -> ExitStatus.ofDebugExit(exit.value());
      case GuestMachine.Outcome.Stopped stopped ->
          stopStatus.get() == NOT_STOPPED ? ExitStatus.STOPPED : stopStatus.get();
    };
  }
}
