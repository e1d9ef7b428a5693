package io.anillo.bench.guest;

import io.anillo.vmm.cpu.CpuModel;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Gives a peer the processor features of {@code anillo-v2}, and says what differs all the same. */
final class ProcessorFeatures {
  private static final int EBX = 1, ECX = 2, EDX = 3;

  /** A feature by QEMU's name: where CPUID has it. */
  private record Feature(String name, int leaf, int register, int bit) {}

  private static final List<Feature> FEATURES =
      List.of(
          new Feature("pni", 1, ECX, 0),
          new Feature("pclmulqdq", 1, ECX, 1),
          new Feature("monitor", 1, ECX, 3),
          new Feature("ssse3", 1, ECX, 9),
          new Feature("fma", 1, ECX, 12),
          new Feature("cx16", 1, ECX, 13),
          new Feature("pcid", 1, ECX, 17),
          new Feature("sse4.1", 1, ECX, 19),
          new Feature("sse4.2", 1, ECX, 20),
          new Feature("x2apic", 1, ECX, 21),
          new Feature("movbe", 1, ECX, 22),
          new Feature("popcnt", 1, ECX, 23),
          new Feature("tsc-deadline", 1, ECX, 24),
          new Feature("aes", 1, ECX, 25),
          new Feature("xsave", 1, ECX, 26),
          new Feature("avx", 1, ECX, 28),
          new Feature("f16c", 1, ECX, 29),
          new Feature("rdrand", 1, ECX, 30),
          new Feature("fsgsbase", 7, EBX, 0),
          new Feature("tsc-adjust", 7, EBX, 1),
          new Feature("bmi1", 7, EBX, 3),
          new Feature("avx2", 7, EBX, 5),
          new Feature("smep", 7, EBX, 7),
          new Feature("bmi2", 7, EBX, 8),
          new Feature("erms", 7, EBX, 9),
          new Feature("invpcid", 7, EBX, 10),
          new Feature("rdseed", 7, EBX, 18),
          new Feature("adx", 7, EBX, 19),
          new Feature("smap", 7, EBX, 20),
          new Feature("clflushopt", 7, EBX, 23),
          new Feature("sha-ni", 7, EBX, 29),
          new Feature("umip", 7, ECX, 2),
          new Feature("fsrm", 7, EDX, 4),
          new Feature("lahf-lm", 0x8000_0001, ECX, 0),
          new Feature("svm", 0x8000_0001, ECX, 2),
          new Feature("abm", 0x8000_0001, ECX, 5),
          new Feature("sse4a", 0x8000_0001, ECX, 6),
          new Feature("3dnowprefetch", 0x8000_0001, ECX, 8),
          new Feature("nx", 0x8000_0001, EDX, 20),
          new Feature("mmxext", 0x8000_0001, EDX, 22),
          new Feature("pdpe1gb", 0x8000_0001, EDX, 26),
          new Feature("rdtscp", 0x8000_0001, EDX, 27),
          new Feature("invtsc", 0x8000_0007, EDX, 8));

  /** Flags of /proc/cpuinfo that choose which code runs in user space; these must be the same. */
  private static final Set<String> DECISIVE =
      Set.of(
          "sse",
          "sse2",
          "pni",
          "ssse3",
          "sse4_1",
          "sse4_2",
          "popcnt",
          "cx16",
          "avx",
          "avx2",
          "fma",
          "bmi1",
          "bmi2",
          "abm",
          "movbe",
          "aes",
          "pclmulqdq",
          "erms",
          "f16c",
          "adx",
          "sha_ni");

  private ProcessorFeatures() {}

  /**
   * What QEMU's {@code -cpu} is given. XSAVEOPT, which anillo-v2 lacks, goes with XSAVE: with XSAVE
   * alone Linux 6.1 hangs early in its boot on QEMU 7.2. What QEMU's translator does not offer it
   * leaves out with a warning; {@link #difference} tells.
   */
  static String qemuOption() {
    CpuModel model = CpuModel.anilloV2(1);
    int[] answer = new int[4];
    return FEATURES.stream()
        .map(feature -> {
          model.cpuid(feature.leaf(), 0, 0, answer);
          boolean there = (answer[feature.register()] >>> feature.bit() & 1) != 0;
          return (there ? ",+" : ",-") + feature.name();
        })
        .collect(Collectors.joining("", "qemu64", ",+xsaveopt"));
  }

  /** The difference between two lines of flags, as {@code -only-ours +only-theirs}. */
  static String difference(String ours, String theirs) {
    Set<String> left = flags(ours);
    Set<String> right = flags(theirs);
    Stream<String> missing = left.stream().filter(flag -> !right.contains(flag)).map(f -> "-" + f);
    Stream<String> added = right.stream().filter(flag -> !left.contains(flag)).map(f -> "+" + f);
    return Stream.concat(missing, added).collect(Collectors.joining(" "));
  }

  /** Those differing flags that would make the two run different code. */
  static Set<String> decisiveDifferences(String ours, String theirs) {
    Set<String> left = flags(ours);
    Set<String> right = flags(theirs);
    Set<String> result = new TreeSet<>(DECISIVE);
    result.removeIf(flag -> left.contains(flag) == right.contains(flag));
    return result;
  }

  private static Set<String> flags(String line) {
    return new TreeSet<>(List.of(line.substring(line.indexOf(':') + 1).strip().split("\\s+")));
  }
}
