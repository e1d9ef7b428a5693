package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import io.anillo.vmm.machine.ProcessorActivity.Reason;

/**
 * The thread of one processor: guest code, then the board's work, in turn, until the machine ends.
 */
final class ProcessorThread implements Runnable {
  private final Machine machine;
  private final VirtualCpu cpu;
  private final BoardExecutor executor;
  private final ExclusiveSection.Participant participant;
  private final ProcessorActivity activity;
  private final StealMeter stealMeter = new StealMeter();

  ProcessorThread(
      Machine machine, VirtualCpu cpu, BoardExecutor executor, ProcessorActivity activity) {
    this.machine = machine;
    this.cpu = cpu;
    this.executor = executor;
    this.activity = activity;
    this.participant = executor.exclusiveSection().register(cpu::kick);
  }

  @Override
  public void run() {
    activity.enter(Place.MONITOR);
    try {
      wakeUp();
      while (!machine.ending()) {
        executor.runPending();
        if (executor.requestPending()) {
          machine.takeRequest();
          continue;
        }
        if (executor.replayFinished()
            && cpu.state().instructions >= executor.nextEventInstruction()) {
          machine.stop();
          continue;
        }
        tellStolenTime();
        Exit exit = runGuest();
        switch (exit) {
          case Exit.Interrupted interrupted -> activity.count(Reason.INTERRUPTED);
          case Exit.Deadline deadline -> activity.count(Reason.DEADLINE);
          case Exit.Shutdown shutdown -> {
            activity.count(Reason.SHUTDOWN);
            machine.end(new MachineRequest.Reset(shutdown.cause()));
          }
          case Exit.Halted halted -> {
            activity.count(Reason.HALTED);
            idle();
          }
        }
      }
    } catch (Throwable cause) {
      // The thread's last act: whoever waits in Machine.run is told, and throws.
      machine.failed(cause);
    }
  }

  /**
   * A processor that was saved while it waited is marked as one that does not run, which may not
   * stay so: others would leave it notes to drop translations that it does not read.
   */
  private void wakeUp() {
    ParavirtualProcessor paravirtual = cpu.paravirtual();
    if (paravirtual != null && paravirtual.goesOn()) {
      cpu.flushTranslations();
    }
  }

  /** Recorded machines are not told: what the host does is not part of a recording. */
  private void tellStolenTime() {
    ParavirtualProcessor paravirtual = cpu.paravirtual();
    if (paravirtual != null
        && paravirtual.tellsStolenTime()
        && !executor.recording()
        && !executor.replaying()) {
      long nanos = stealMeter.newlyStolen();
      if (nanos > 0) {
        paravirtual.stolen(nanos);
      }
    }
  }

  private Exit runGuest() {
    long budget = executor.nextEventInstruction();
    if (budget != Long.MAX_VALUE) {
      budget = Math.max(0, budget - cpu.state().instructions);
    }
    participant.enter();
    activity.enter(cpu.inRing3() ? Place.RING_3 : Place.RING_0);
    try {
      return cpu.run(budget);
    } finally {
      activity.enter(Place.MONITOR);
      participant.leave();
    }
  }

  /** Waits in HLT until the board or another processor has something. */
  private void idle() {
    ParavirtualProcessor paravirtual = cpu.paravirtual();
    if (paravirtual == null) {
      await();
      return;
    }
    paravirtual.waits();
    try {
      await();
    } finally {
      wakeUp();
    }
  }

  private void await() {
    if (executor.replaying()) {
      if (cpu.state().instructions < executor.nextEventInstruction()) {
        throw new EventReplayer.Divergence(
            "the processor halts at instruction "
                + cpu.state().instructions
                + ", but the next event belongs to "
                + executor.nextEventInstruction());
      }
      return;
    }
    activity.enter(Place.IDLE);
    cpu.awaitSignal(() -> machine.ending() || cpu.index() == 0 && executor.hasPending());
    activity.enter(Place.MONITOR);
  }
}
