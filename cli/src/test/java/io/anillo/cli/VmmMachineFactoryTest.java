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
    return new VmmMachineFactory()
        .create(
            new MachinePlan(
                1,
                64L << 20,
                MachinePlan.Engine.AUTO,
                kernel,
                Optional.empty(),
                "",
                disks,
                List.of(),
                List.of(),
                OptionalInt.empty(),
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
  void anImageThatIsNoKernelIsRefused() throws Exception {
    Path kernel = Files.writeString(directory.resolve("kernel"), "#!/bin/sh\n");
    assertThatThrownBy(() -> create(kernel, List.of()))
        .isInstanceOf(CommandException.class)
        .hasMessage("the kernel image is none of bzImage, ELF with a PVH note, and multiboot 1.");
  }
}
