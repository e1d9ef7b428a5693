package io.anillo.cli.techniques;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import io.anillo.vmm.port.CharBackend;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/** Runs pieces of work on machines made for them. */
final class WorkloadRun {
  private static final int MEMORY_BYTES = 16 << 20;
  private static final int DEBUG_EXIT = 0xF4;
  private static final MachineExit END = new MachineExit.DebugExit(0x21);
  private static final long BOOT_MEMORY_BYTES = 256L << 20;
  private static final String USER_SPACE = "Anillo guest:";

  private WorkloadRun() {}

  /**
   * Runs a loop.
   *
   * @param patienceMillis after which the machine is stopped
   */
  static Outcome loop(Workload workload, Technique technique, int rounds, long patienceMillis)
      throws InterruptedException {
    MachineConfig config =
        MachineConfig.of(
                MEMORY_BYTES,
                Workload.image(),
                ByteBuffer.allocate(0),
                workload.commandLine(technique, rounds))
            .withDebugExit(DEBUG_EXIT)
            .withEngine(technique.engine)
            .withParavirtual(technique.paravirtual);
    try (Machine machine = Machine.create(config)) {
      machine.measureTimes();
      long start = System.nanoTime();
      Thread limit = limit(machine, patienceMillis);
      MachineExit exit = machine.run();
      long nanos = System.nanoTime() - start;
      limit.interrupt();
      if (exit.equals(END)) {
        return new Outcome.Measured(Measurement.of(machine, nanos));
      }
      return new Outcome.Absent(
          switch (exit) {
            case MachineExit.Stopped stopped ->
                "it was not done after " + patienceMillis / 1000 + " s";
            case MachineExit.Reset reset -> "the guest was reset by a " + reset.cause();
            case MachineExit.DebugExit other -> "the guest ended with " + other.value();
            case MachineExit.PoweredOff off -> "the guest powered off";
          });
    } catch (BootException e) {
      return new Outcome.Absent(e.sentence());
    } catch (Machine.MachineFault e) {
      return new Outcome.Absent(String.valueOf(e.getMessage()));
    }
  }

  private static Thread limit(Machine machine, long millis) {
    return Thread.ofVirtual()
        .start(() -> {
          try {
            Thread.sleep(millis);
            machine.stop();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
  }

  /** Boots Linux until its first program says that it runs. */
  static Outcome boot(
      ByteBuffer kernel,
      ByteBuffer initialRamDisk,
      String commandLine,
      Technique technique,
      long patienceMillis)
      throws InterruptedException {
    AtomicBoolean reached = new AtomicBoolean();
    Machine[] made = new Machine[1];
    CharBackend console =
        new BootWatch(
            USER_SPACE,
            () -> {
              reached.set(true);
              made[0].stop();
            });
    MachineConfig config =
        MachineConfig.of(BOOT_MEMORY_BYTES, kernel, initialRamDisk, commandLine)
            .withSerial(List.of(console))
            .withEngine(technique.engine)
            .withParavirtual(technique.paravirtual);
    try (Machine machine = Machine.create(config)) {
      made[0] = machine;
      machine.measureTimes();
      long start = System.nanoTime();
      Thread limit = limit(machine, patienceMillis);
      machine.run();
      long nanos = System.nanoTime() - start;
      limit.interrupt();
      return reached.get()
          ? new Outcome.Measured(Measurement.of(machine, nanos))
          : new Outcome.Absent("it had not booted after " + patienceMillis / 1000 + " s");
    } catch (BootException e) {
      return new Outcome.Absent(e.sentence());
    } catch (Machine.MachineFault e) {
      return new Outcome.Absent(String.valueOf(e.getMessage()));
    }
  }

  /** Calls somebody when a text is printed. */
  private static final class BootWatch implements CharBackend {
    private final String text;
    private final Runnable found;
    private final StringBuilder tail = new StringBuilder();

    BootWatch(String text, Runnable found) {
      this.text = text;
      this.found = found;
    }

    @Override
    public void start(Receiver receiver) {}

    @Override
    public void write(byte[] data, int offset, int length) {
      tail.append(new String(data, offset, length, StandardCharsets.ISO_8859_1));
      if (tail.indexOf(text) >= 0) {
        tail.setLength(0);
        found.run();
      } else if (tail.length() > text.length()) {
        tail.delete(0, tail.length() - text.length());
      }
    }

    @Override
    public void close() {}
  }
}
