package io.anillo.vmm.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.hypercall.KvmInterface;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class CpuModelTest {
  private static final int EAX = 0, EBX = 1, ECX = 2, EDX = 3;

  private static int[] cpuid(int processors, int leaf, int subleaf, int apicId) {
    int[] result = {-1, -1, -1, -1};
    CpuModel.anilloV2(processors).cpuid(leaf, subleaf, apicId, result);
    return result;
  }

  private static int[] cpuid(int leaf) {
    return cpuid(1, leaf, 0, 0);
  }

  private static String text(int... registers) {
    ByteBuffer bytes = ByteBuffer.allocate(registers.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    for (int register : registers) {
      bytes.putInt(register);
    }
    return new String(bytes.array(), StandardCharsets.US_ASCII);
  }

  @Test
  void vendorAndBrand() {
    int[] leaf = cpuid(0);
    assertThat(text(leaf[EBX], leaf[EDX], leaf[ECX])).isEqualTo("AuthenticAMD");
    StringBuilder brand = new StringBuilder();
    for (int i = 0x8000_0002; i <= 0x8000_0004; i++) {
      brand.append(text(cpuid(i)));
    }
    assertThat(brand.toString().replace("\0", "")).isEqualTo("Anillo Virtual CPU v2");
  }

  /** The x86-64 psABI's list for the level x86-64-v2, by leaf, register and bit. */
  @Test
  void theLevelIsX8664V2AndNotV3() {
    int ecx = cpuid(1)[ECX];
    for (int bit : new int[] {0, 9, 13, 19, 20, 23}) {
      assertThat(ecx >>> bit & 1).as("leaf 1 ECX bit " + bit).isEqualTo(1);
    }
    for (int bit : new int[] {1, 3, 12, 22, 25, 28, 29}) {
      assertThat(ecx >>> bit & 1).as("leaf 1 ECX bit " + bit).isZero();
    }
    assertThat(cpuid(0x8000_0001)[ECX] & 1).as("LAHF").isEqualTo(1);
    int ebx = cpuid(7)[EBX];
    for (int bit : new int[] {3, 5, 8}) {
      assertThat(ebx >>> bit & 1).as("leaf 7 EBX bit " + bit).isZero();
    }
  }

  @Test
  void systemFeatures() {
    int[] extended = cpuid(0x8000_0001);
    for (int bit : new int[] {11, 20, 26, 27, 29}) {
      assertThat(extended[EDX] >>> bit & 1).as("0x80000001 EDX bit " + bit).isEqualTo(1);
    }
    assertThat(cpuid(7)[EBX]).isEqualTo(0x14_0683);
    assertThat(cpuid(7)[ECX]).isEqualTo(1 << 2);
    assertThat(cpuid(0x8000_0007)[EDX]).isEqualTo(1 << 8);
    assertThat(cpuid(0x8000_0008)[EAX]).isEqualTo(0x3028);
    assertThat(cpuid(0xD)).containsExactly(3, 576, 576, 0);
    assertThat(cpuid(1, 0xD, 1, 0)).containsExactly(0, 0, 0, 0);
  }

  /** What Linux asks before it decides on retpolines, return thunks and buffer clearing. */
  @Test
  void guestsNeedNoMitigations() {
    int automaticIbrs = 1 << 8;
    int noReturnOverflow = 1 << 29;
    assertThat(cpuid(0x8000_0021)[EAX] & (automaticIbrs | noReturnOverflow))
        .isEqualTo(automaticIbrs | noReturnOverflow);
    assertThat(cpuid(0x8000_0021)[ECX]).isEqualTo(6);
    int noStoreBypass = 1 << 26;
    assertThat(cpuid(0x8000_0008)[EBX] & noStoreBypass).isNotZero();
    int family = (cpuid(1)[EAX] >>> 8 & 0xF) + (cpuid(1)[EAX] >>> 20 & 0xFF);
    assertThat(family).isEqualTo(0x19);
  }

  @Test
  void dynamicBitsFollowTheState() {
    CpuModel model = CpuModel.anilloV2(1);
    CpuState state = new CpuState();
    int[] result = new int[4];
    model.cpuid(1, 0, state, 0, false, result);
    assertThat(result[ECX] >>> 27 & 1).isZero();
    assertThat(result[EDX] >>> 9 & 1).isZero();
    state.cr4 = CpuState.CR4_OSXSAVE;
    model.cpuid(1, 0, state, 0, true, result);
    assertThat(result[ECX] >>> 27 & 1).isEqualTo(1);
    assertThat(result[EDX] >>> 9 & 1).isEqualTo(1);
  }

  @Test
  void topologyCountsCores() {
    assertThat(cpuid(4, 1, 0, 3)[EBX]).isEqualTo(0x0304_0800);
    assertThat(cpuid(4, 1, 0, 3)[EDX] >>> 28 & 1).isEqualTo(1);
    assertThat(cpuid(1, 1, 0, 0)[EDX] >>> 28 & 1).isZero();
    assertThat(cpuid(4, 0xB, 0, 3)).containsExactly(0, 1, 0x100, 3);
    assertThat(cpuid(4, 0xB, 1, 3)).containsExactly(2, 4, 0x201, 3);
    assertThat(cpuid(4, 0xB, 2, 3)).containsExactly(0, 0, 2, 3);
    assertThat(cpuid(3, 0x8000_0008, 0, 0)[ECX]).isEqualTo(0x2002);
    assertThat(cpuid(4, 0x8000_001E, 0, 3)).containsExactly(3, 3, 0, 0);
    assertThat(cpuid(1, 0xB, 1, 0)[EAX]).isZero();
  }

  @Test
  void unknownLeavesAreZero() {
    for (int leaf : new int[] {2, 4, 5, 0x14, 0x17, 0x4000_0001, 0x8000_0022, 0xC000_0000}) {
      assertThat(cpuid(leaf)).containsExactly(0, 0, 0, 0);
    }
    assertThat(cpuid(1, 7, 1, 0)).containsExactly(0, 0, 0, 0);
    assertThat(cpuid(1, 0x8000_001D, 4, 0)).containsExactly(0, 0, 0, 0);
  }

  @Test
  void anAwareGuestFindsTheInterface() {
    CpuModel aware = CpuModel.anilloV2(1).withParavirtual(KvmInterface.FEATURES);
    int[] result = new int[4];
    aware.cpuid(0x4000_0000, 0, 0, result);
    // "KVMKVMKVM\0\0\0"
    assertThat(result).containsExactly(0x4000_0001, 0x4B4D_564B, 0x564B_4D56, 0x4D);
    aware.cpuid(0x4000_0001, 0, 0, result);
    assertThat(result).containsExactly(0x0100_2AEB, 0, 0, 0);
    aware.cpuid(0x4000_0100, 0, 0, result);
    assertThat(result).containsExactly(0x4000_0101, 0x6C69_6E41, 0x6E41_6F6C, 0x6F6C_6C69);
    assertThat(cpuid(0x4000_0000))
        .containsExactly(0x4000_0000, 0x6C69_6E41, 0x6E41_6F6C, 0x6F6C_6C69);
    assertThat(cpuid(0x4000_0100)).containsExactly(0, 0, 0, 0);
  }

  @Test
  void theTimeStampsFrequencyIsTold() {
    int[] result = new int[4];
    CpuModel.anilloV2(1).withTscHertz(2_596_148_000L).cpuid(0x15, 0, 0, result);
    assertThat(result).containsExactly(1, 1, (int) 2_596_148_000L, 0);
    CpuModel.anilloV2(1).withTscHertz(5_000_000_000L).cpuid(0x15, 0, 0, result);
    assertThat(result).containsExactly(1, 2, (int) 2_500_000_000L, 0);
    assertThat(cpuid(0x15)).containsExactly(1, 1, 1_000_000_000, 0);
  }

  @Test
  void numberOfProcessorsIsBounded() {
    assertThatThrownBy(() -> CpuModel.anilloV2(0)).hasMessageContaining("not 0");
    assertThatThrownBy(() -> CpuModel.anilloV2(256)).hasMessageContaining("not 256");
  }
}
