package io.anillo.vmm.boot;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;

/**
 * Puts a kernel into guest memory and the first processor into the state it expects, recognising
 * the format by content.
 */
public final class BootLoader {
  private BootLoader() {}

  /**
   * Loads a kernel. Memory and state are written before the machine runs; after an exception they
   * hold anything.
   *
   * @throws BootException when the image is not one that can be booted, is damaged, or does not fit
   */
  public static LoadedKernel load(GuestMemory memory, CpuState state, BootRequest request)
      throws BootException {
    ImageReader image = new ImageReader("kernel image", request.kernel());
    MemoryMap map = new MemoryMap(request.memoryMap());
    if (!map.isUsable(LowMemory.START, LowMemory.END - LowMemory.START)) {
      throw new BootException(
          "the machine's memory is too small: a kernel needs usable memory up to "
              + LowMemory.END / 1024
              + " KiB at least");
    }
    if (image.size() == 0) {
      throw new BootException("the kernel image is empty");
    }
    if (LinuxLoader.recognises(image)) {
      return LinuxLoader.load(image, memory, state, map, request);
    }
    if (ElfImage.recognises(image)) {
      ElfImage elf = ElfImage.parse(image);
      if (elf.pvhEntry().isPresent()) {
        return PvhLoader.load(elf, memory, state, map, request);
      }
      if (MultibootLoader.recognises(image)) {
        return MultibootLoader.load(image, memory, state, map, request);
      }
      throw new BootException(
          "the kernel is an ELF file with neither a PVH entry note nor a multiboot header");
    }
    if (MultibootLoader.recognises(image)) {
      return MultibootLoader.load(image, memory, state, map, request);
    }
    throw new BootException(
        "the kernel image is none of bzImage, ELF with a PVH note, and multiboot 1");
  }
}
