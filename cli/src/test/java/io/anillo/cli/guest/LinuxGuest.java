package io.anillo.cli.guest;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.cli.image.Progress;
import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.machine.Machine;
import io.anillo.vmm.machine.MachineConfig;
import io.anillo.vmm.machine.MachineExit;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.UnaryOperator;

/** The default guest on a machine of its own, running on a thread, with a console to type at. */
final class LinuxGuest implements AutoCloseable {
  static final long MEMORY_BYTES = 256L << 20;

  final GuestConsole console;
  final Machine machine;
  private final CompletableFuture<MachineExit> exit = new CompletableFuture<>();
  private final Thread runner;

  LinuxGuest(Machine machine, GuestConsole console) {
    this.machine = machine;
    this.console = console;
    this.runner = Thread.ofPlatform().name("machine").daemon().start(this::run);
  }

  /** Boots the default guest; the test is skipped where it cannot be had. */
  static LinuxGuest boot(UnaryOperator<MachineConfig> options) throws IOException, BootException {
    GuestConsole console = new GuestConsole();
    return new LinuxGuest(Machine.create(options.apply(config(console))), console);
  }

  static MachineConfig config(GuestConsole console) throws IOException {
    DefaultGuest guest = defaultGuest();
    return MachineConfig.of(
            MEMORY_BYTES,
            ByteBuffer.wrap(Files.readAllBytes(guest.kernel())),
            ByteBuffer.wrap(Files.readAllBytes(guest.initialRamDisk())),
            DefaultGuest.COMMAND_LINE)
        .withSerial(List.of(console));
  }

  /** Skips the test where the default guest cannot be had. */
  static void requireDefaultGuest() {
    defaultGuest();
  }

  private static DefaultGuest defaultGuest() {
    try {
      return DefaultGuest.get(GuestCache.ofUser(), false, Progress.SILENT);
    } catch (ImageException e) {
      assumeTrue(false, "the default guest cannot be made here: " + e.getMessage());
      throw new AssertionError(e);
    }
  }

  private void run() {
    try {
      exit.complete(machine.run());
    } catch (InterruptedException | RuntimeException | Error e) {
      exit.completeExceptionally(e);
    } finally {
      console.end();
    }
  }

  /** Waits for the machine's end. */
  MachineExit awaitExit() throws InterruptedException, ExecutionException, TimeoutException {
    return exit.get(240, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws InterruptedException {
    machine.stop();
    runner.join();
    machine.close();
  }
}
