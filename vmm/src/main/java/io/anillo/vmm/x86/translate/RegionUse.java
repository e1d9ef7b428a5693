package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.decode.Instruction;

/** What the code of a region has to find at its entry, besides registers. */
record RegionUse(boolean xmm, boolean fs, boolean gs, boolean severalPages) {
  static RegionUse of(Region region) {
    boolean xmm = false;
    boolean fs = false;
    boolean gs = false;
    for (RegionBlock block : region.blocks) {
      for (Instruction instruction : block.instructions) {
        xmm |= SimdEmitter.knows(instruction);
        fs |= instruction.segment() == CpuState.FS;
        gs |= instruction.segment() == CpuState.GS;
      }
    }
    return new RegionUse(xmm, fs, gs, region.pages.size() > 1);
  }

  boolean segment(int segment) {
    return segment == CpuState.FS ? fs : gs;
  }
}
