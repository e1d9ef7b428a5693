package io.anillo.cli;

import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Opens values of {@code --disk} for tests in other packages. */
public final class MachineDisksOpener {
  private MachineDisksOpener() {}

  public static List<BlockBackend> open(List<String> options) throws IOException {
    MachineDisks disks = new MachineDisks();
    List<BlockBackend> opened = new ArrayList<>();
    for (String option : options) {
      opened.add(disks.open(DiskOption.parse(option)));
    }
    return opened;
  }
}
