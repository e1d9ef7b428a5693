package io.anillo.vmm.cpu;

import java.util.Collection;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/**
 * Features of the model that a host's hardware may lack, and that no monitor can add; named as in
 * Linux's {@code /proc/cpuinfo} (AMD APM vol. 3 appendix E).
 */
public enum CpuFeature {
  PNI(1, 2, 0, true),
  SSSE3(1, 2, 9, true),
  CX16(1, 2, 13, true),
  PCID(1, 2, 17, false),
  SSE4_1(1, 2, 19, true),
  SSE4_2(1, 2, 20, true),
  POPCNT(1, 2, 23, true),
  XSAVE(1, 2, 26, true),
  RDRAND(1, 2, 30, false),
  FSGSBASE(7, 1, 0, false),
  SMEP(7, 1, 7, false),
  INVPCID(7, 1, 10, false),
  RDSEED(7, 1, 18, false),
  SMAP(7, 1, 20, false),
  UMIP(7, 2, 2, false),
  LAHF_LM(0x8000_0001, 2, 0, true),
  SYSCALL(0x8000_0001, 3, 11, true),
  NX(0x8000_0001, 3, 20, true),
  PDPE1GB(0x8000_0001, 3, 26, false),
  RDTSCP(0x8000_0001, 3, 27, false),
  LM(0x8000_0001, 3, 29, true);

  private final int leaf;
  private final int register;
  private final int bit;
  private final boolean needed;

  CpuFeature(int leaf, int register, int bit, boolean needed) {
    this.leaf = leaf;
    this.register = register;
    this.bit = bit;
    this.needed = needed;
  }

  /** The leaf of CPUID that tells of it; of its subleaf 0. */
  public int leaf() {
    return leaf;
  }

  /** Whether it is part of x86-64-v2, without which there is no model. */
  public boolean needed() {
    return needed;
  }

  /**
   * Whether an answer of CPUID says that it is there.
   *
   * @param answer EAX, EBX, ECX and EDX of its leaf
   */
  public boolean isIn(int[] answer) {
    return (answer[register] >>> bit & 1) != 0;
  }

  void removeFrom(int[] answer) {
    answer[register] &= ~(1 << bit);
  }

  /** As in {@code /proc/cpuinfo}. */
  public String title() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Features as bits, in the order of their declaration, for a saved state. */
  public static long bits(Collection<CpuFeature> features) {
    long bits = 0;
    for (CpuFeature feature : features) {
      bits |= 1L << feature.ordinal();
    }
    return bits;
  }

  /** The reverse of {@link #bits}; bits that mean nothing are left out. */
  public static Set<CpuFeature> ofBits(long bits) {
    Set<CpuFeature> features = EnumSet.noneOf(CpuFeature.class);
    for (CpuFeature feature : values()) {
      if ((bits >>> feature.ordinal() & 1) != 0) {
        features.add(feature);
      }
    }
    return features;
  }
}
