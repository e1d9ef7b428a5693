package io.anillo.vmm.boot;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * What is to be booted.
 *
 * @param kernel the whole kernel image; only absolute reads are made, position and order do not
 *     matter
 * @param initialRamDisk the whole initial RAM disk (or first multiboot module); empty when there is
 *     none
 * @param commandLine the kernel's command line, without a terminating zero
 * @param memoryMap the guest's memory as its firmware would describe it
 * @param rsdpAddress guest-physical address of the ACPI root pointer, 0 when there is none
 */
public record BootRequest(
    ByteBuffer kernel,
    ByteBuffer initialRamDisk,
    String commandLine,
    List<MemoryRegion> memoryMap,
    long rsdpAddress) {

  public BootRequest {
    memoryMap = List.copyOf(memoryMap);
    if (commandLine.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("a command line with a NUL in it");
    }
  }
}
