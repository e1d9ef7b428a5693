package io.anillo.cli;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What keeps a real machine from being made is one sentence. */
class VmmMachineFactoryTest {
  @TempDir private Path directory;

  private GuestMachine create(Path kernel, List<DiskOption> disks) throws CommandException {
    return create(kernel, disks, OptionalInt.empty());
  }

  private GuestMachine create(Path kernel, List<DiskOption> disks, OptionalInt debugExitPort)
      throws CommandException {
    return new VmmMachineFactory()
        .create(
            new MachinePlan(
                1,
                64L << 20,
                MachinePlan.Engine.INTERPRET,
                kernel,
                Optional.empty(),
                "",
                disks,
                List.of(),
                List.of(),
                debugExitPort,
                false,
                false,
                true));
  }

  @Test
  void disksThatAreNoWholeSectorsAreRefused() throws Exception {
    Path kernel = Files.writeString(directory.resolve("kernel"), "none");
    for (int size : new int[] {0, 1000}) {
      Path disk = Files.write(directory.resolve("disk" + size), new byte[size]);
      for (int i = 0; i < 2; i++) {
        assertThatThrownBy(() -> create(kernel, List.of(DiskOption.parse(disk.toString()))))
            .as("again too: the disk was closed")
            .isInstanceOf(CommandException.class)
            .hasMessageContaining("it has " + size + " bytes, and a disk needs a multiple of 512");
      }
    }
  }

  @Test
  void aPortThatAnotherDeviceHasIsRefused() throws Exception {
    Path kernel = Files.writeString(directory.resolve("kernel"), "none");
    for (int taken : new int[] {0x3F8, 0x510, 0x600, 0xCF8}) {
      for (int port : new int[] {taken, taken - 3}) {
        assertThatThrownBy(() -> create(kernel, List.of(), OptionalInt.of(port)))
            .isInstanceOf(CommandException.class)
            .hasMessage(
                "the machine cannot be made: port 0x%x already has a device.".formatted(taken));
      }
    }
  }

  @Test
  void anImageThatIsNoKernelIsRefused() throws Exception {
    Path kernel = Files.writeString(directory.resolve("kernel"), "#!/bin/sh\n");
    assertThatThrownBy(() -> create(kernel, List.of()))
        .isInstanceOf(CommandException.class)
        .hasMessage("the kernel image is none of bzImage, ELF with a PVH note, and multiboot 1.");
  }
}
