package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.hypercall.KvmInterface;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** A processor model as the table of leaves that KVM answers CPUID from. */
final class KvmCpuid {
  private static final Path PROCESSORS = Path.of("/proc/cpuinfo");
  private static final int HEADER_BYTES = 8, ENTRY_BYTES = 40;
  private static final int MAXIMUM_ENTRIES = 80, MOST_SUPPORTED = 256;
  private static final int INDEX_MATTERS = 1;
  private static final int OWN_FEATURES = 0x4000_0101;
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
    cpuid.add(OWN_FEATURES, 0, 0);
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

  /**
   * Features of the model that the hardware, or its KVM, lacks.
   *
   * <p>A KVM without hardware underneath may list next to nothing, though it runs ring 3 on the
   * processor as it is. One that lists not even SSE3, which every processor of 64 bits has had
   * since 2005, is not believed, and the host's own features are taken instead.
   */
  static Set<CpuFeature> missing(HostSystem system, int device) throws KvmException {
    Set<CpuFeature> missing = notListed(system, device);
    return missing.contains(CpuFeature.PNI) ? notInHost() : missing;
  }

  private static Set<CpuFeature> notInHost() throws KvmException {
    try (Stream<String> lines = Files.lines(PROCESSORS)) {
      Set<String> flags =
          lines
              .filter(line -> line.startsWith("flags"))
              .findFirst()
              .map(line -> Set.copyOf(List.of(line.replaceFirst(".*:\\s*", "").split(" +"))))
              .orElse(Set.of());
      Set<CpuFeature> missing = EnumSet.allOf(CpuFeature.class);
      missing.removeIf(feature -> flags.contains(feature.title()));
      return missing;
    } catch (IOException | UncheckedIOException e) {
      throw new KvmException(PROCESSORS + " cannot be read: " + e.getMessage());
    }
  }

  private static Set<CpuFeature> notListed(HostSystem system, int device) throws KvmException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment table = arena.allocate(HEADER_BYTES + (long) MOST_SUPPORTED * ENTRY_BYTES, 8);
      table.set(ValueLayout.JAVA_INT, 0, MOST_SUPPORTED);
      if (system.ioctl(device, KvmNumbers.GET_SUPPORTED_CPUID, table) < 0) {
        throw new KvmException(
            "KVM does not tell what processors it supports, error " + system.errno());
      }
      Set<CpuFeature> missing = EnumSet.allOf(CpuFeature.class);
      int[] answer = new int[4];
      for (int i = 0; i < table.get(ValueLayout.JAVA_INT, 0); i++) {
        long at = HEADER_BYTES + (long) i * ENTRY_BYTES;
        int leaf = table.get(ValueLayout.JAVA_INT, at);
        if (table.get(ValueLayout.JAVA_INT, at + 4) == 0) {
          for (int j = 0; j < answer.length; j++) {
            answer[j] = table.get(ValueLayout.JAVA_INT, at + 12 + 4L * j);
          }
          missing.removeIf(feature -> feature.leaf() == leaf && feature.isIn(answer));
        }
      }
      return missing;
    }
  }

  private void add(int leaf, int subleaf, int flags) {
    model.cpuid(leaf, subleaf, apicId, answer);
    if (leaf == OWN_FEATURES) {
      // VMCALL is answered by the host's kernel, which knows nothing of our calls.
      answer[2] &= ~1;
    }
    long at = HEADER_BYTES + (long) entries++ * ENTRY_BYTES;
    table.set(ValueLayout.JAVA_INT, at, leaf);
    table.set(ValueLayout.JAVA_INT, at + 4, subleaf);
    table.set(ValueLayout.JAVA_INT, at + 8, flags);
    for (int i = 0; i < answer.length; i++) {
      table.set(ValueLayout.JAVA_INT, at + 12 + 4L * i, answer[i]);
    }
  }
}
