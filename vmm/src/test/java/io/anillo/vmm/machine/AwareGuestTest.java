package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.boot.BootException;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.device.disk.RawFileDisk;
import io.anillo.vmm.device.network.EchoNetwork;
import io.anillo.vmm.machine.MachineConfig.Engine;
import io.anillo.vmm.memory.MemoryDigest;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.opentest4j.TestAbortedException;

/** A guest that lives on our own hypercalls alone; see aware.s and docs/hypercalls.md. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class AwareGuestTest {
  private static final MachineExit WELL = new MachineExit.DebugExit(0x2A);
  private static final int SECTOR = 512, SECTORS = 8;

  @TempDir private Path directory;

  private Path disk() throws Exception {
    byte[] bytes = new byte[SECTOR * SECTORS];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (i * 7);
    }
    return Files.write(directory.resolve("disk"), bytes);
  }

  private static MachineConfig config(Path disk, ByteArrayOutputStream console) throws Exception {
    return MachineConfig.of(
            FreestandingGuest.MEMORY_BYTES,
            FreestandingGuest.image("aware"),
            ByteBuffer.allocate(0),
            "")
        .withSerial(List.of(new CaptureBackend(console)))
        .withDisks(List.of(RawFileDisk.open(disk, false)))
        .withNetworks(List.of(new EchoNetwork()));
  }

  @ParameterizedTest
  @EnumSource(
      value = Engine.class,
      names = {"INTERPRET", "TRANSLATE", "KVM", "KVM_LOCAL_APICS"})
  void consoleClocksDiskAndNetwork(Engine engine) throws Exception {
    Path disk = disk();
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (Machine machine = create(config(disk, console).withEngine(engine))) {
      assertThat(machine.run()).isEqualTo(WELL);
      assertThat(machine.exits().get(ExitReason.DEVICE_MEMORY)).isZero();
      assertThat(machine.exits().get(ExitReason.INTERRUPT_CONTROLLER)).isZero();
      long calls = machine.exits().get(ExitReason.HYPERCALL) + machine.exits().get(ExitReason.PORT);
      assertThat(calls).as("all that it asked of the monitor").isBetween(10L, 40L);
    }
    assertThat(console.toString(StandardCharsets.US_ASCII))
        .isEqualTo("Hello from ring 0 by hypercall.\n");
    byte[] bytes = Files.readAllBytes(disk);
    for (int i = 0; i < SECTOR; i++) {
      assertThat(bytes[2 * SECTOR + i]).isEqualTo((byte) ~bytes[SECTOR + i]);
    }
  }

  private static Machine create(MachineConfig config) throws BootException {
    try {
      return Machine.create(config);
    } catch (BootException e) {
      if (config.engine() == Engine.KVM || config.engine() == Engine.KVM_LOCAL_APICS) {
        throw new TestAbortedException(e.sentence());
      }
      throw e;
    }
  }

  @Test
  void itIsRecordedAndReplayed() throws Exception {
    Path disk = disk();
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    String memory;
    long instructions;
    try (Machine machine = Machine.record(config(disk, new ByteArrayOutputStream()), log)) {
      assertThat(machine.run()).isEqualTo(WELL);
      memory = MemoryDigest.sha256(machine.memory());
      instructions = machine.instructions();
    }
    try (Machine machine =
        Machine.replay(
            config(disk, new ByteArrayOutputStream()),
            new ByteArrayInputStream(log.toByteArray()))) {
      assertThat(machine.run()).isEqualTo(WELL);
      assertThat(machine.instructions()).isEqualTo(instructions);
      assertThat(MemoryDigest.sha256(machine.memory())).isEqualTo(memory);
    }
  }

  @Test
  void withoutTheInterfaceItFindsNothing() throws Exception {
    ByteArrayOutputStream console = new ByteArrayOutputStream();
    try (Machine machine = Machine.create(config(disk(), console).withParavirtual(false))) {
      // It cannot even say so: its call goes to a port where nobody is, and it halts for good.
      Thread stopper =
          Thread.ofPlatform()
              .start(() -> {
                while (machine.exits().get(ExitReason.HALT) == 0) {
                  Thread.onSpinWait();
                }
                machine.stop();
              });
      assertThat(machine.run()).isEqualTo(new MachineExit.Stopped());
      stopper.join();
    }
    assertThat(console.size()).isZero();
  }

  /** Others leave a processor that does not run notes, which it has to read when it does. */
  @Test
  void aProcessorThatWasSavedAsleepIsAwakeWhenItRuns() throws Exception {
    long record = 0x80_0000;
    try (Machine machine = Machine.create(FreestandingGuest.config("rewrite"))) {
      machine.processors().getFirst().state().paravirtual.stealTime = record | 1;
      machine.memory().putByte(record + 16, (byte) 3);
      assertThat(machine.run()).isEqualTo(new MachineExit.DebugExit(0x21));
      assertThat(machine.exits().get(ExitReason.HALT)).as("it never slept").isZero();
      assertThat(machine.memory().getByte(record + 16)).isZero();
    }
  }
}
