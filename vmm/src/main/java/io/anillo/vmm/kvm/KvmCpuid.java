package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.hypercall.KvmInterface;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/** A processor model as the table of leaves that KVM answers CPUID from. */
final class KvmCpuid {
  private static final int HEADER_BYTES = 8, ENTRY_BYTES = 40;
  private static final int MAXIMUM_ENTRIES = 80;
  private static final int INDEX_MATTERS = 1;
  private static final int HIGHEST_BASIC = 0x16, HIGHEST_EXTENDED = 0x21;

  private final CpuModel model;
  private final int apicId;
  private final MemorySegment table;
  private final int[] answer = new int[4];
  private int entries;

  private KvmCpuid(CpuModel model, int apicId, MemorySegment table) {
    this.model = model;
    this.apicId = apicId;
    this.table = table;
  }

  /** {@code struct kvm_cpuid2}. */
  static MemorySegment table(CpuModel model, int apicId, SegmentAllocator allocator) {
    MemorySegment table =
        allocator.allocate(HEADER_BYTES + (long) MAXIMUM_ENTRIES * ENTRY_BYTES, 8);
    KvmCpuid cpuid = new KvmCpuid(model, apicId, table);
    for (int leaf = 0; leaf <= HIGHEST_BASIC; leaf++) {
      switch (leaf) {
        case 7, 0xB, 0xD -> {
          for (int subleaf = 0; subleaf < 3; subleaf++) {
            cpuid.add(leaf, subleaf, INDEX_MATTERS);
          }
        }
        default -> cpuid.add(leaf, 0, 0);
      }
    }
    cpuid.add(KvmInterface.SIGNATURE_LEAF, 0, 0);
    cpuid.add(KvmInterface.FEATURES_LEAF, 0, 0);
    cpuid.add(0x4000_0100, 0, 0);
    cpuid.add(0x4000_0101, 0, 0);
    for (int leaf = 0x8000_0000; leaf <= 0x8000_0000 + HIGHEST_EXTENDED; leaf++) {
      if (leaf == 0x8000_001D) {
        for (int subleaf = 0; subleaf < 5; subleaf++) {
          cpuid.add(leaf, subleaf, INDEX_MATTERS);
        }
      } else {
        cpuid.add(leaf, 0, 0);
      }
    }
    table.set(ValueLayout.JAVA_INT, 0, cpuid.entries);
    return table;
  }

  private void add(int leaf, int subleaf, int flags) {
    model.cpuid(leaf, subleaf, apicId, answer);
    long at = HEADER_BYTES + (long) entries++ * ENTRY_BYTES;
    table.set(ValueLayout.JAVA_INT, at, leaf);
    table.set(ValueLayout.JAVA_INT, at + 4, subleaf);
    table.set(ValueLayout.JAVA_INT, at + 8, flags);
    for (int i = 0; i < answer.length; i++) {
      table.set(ValueLayout.JAVA_INT, at + 12 + 4L * i, answer[i]);
    }
  }
}
