package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.EFER_LMA;
import static io.anillo.vmm.cpu.CpuState.EFER_LME;
import static io.anillo.vmm.cpu.CpuState.EFER_NXE;
import static io.anillo.vmm.cpu.CpuState.EFER_SCE;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelSpecificRegistersTest {
  private static final long NOT_CANONICAL = 1L << 47;

  private final Guest guest = Guest.long64(0);

  private long read(int index) {
    return ModelSpecificRegisters.read(guest.processor, index);
  }

  private void write(int index, long value) {
    ModelSpecificRegisters.write(guest.processor, index, value);
  }

  private void assertRefused(int index, long value) {
    guest.assertFault(GENERAL_PROTECTION, 0, () -> write(index, value));
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        0x174,
        0x175,
        0x176,
        0x200,
        0x20E,
        0x250,
        0x258,
        0x259,
        0x268,
        0x26F,
        0x277,
        0xC0000081,
        0xC0000082,
        0xC0000083,
        0xC0000084,
        0xC0000100,
        0xC0000101,
        0xC0000102,
        0xC0000103
      })
  void registersReadBack(int index) {
    write(index, 0x0000_0006L);
    assertThat(read(index)).isEqualTo(6);
    write(index, 0);
    assertThat(read(index)).isZero();
  }

  @ParameterizedTest
  @ValueSource(ints = {0x175, 0x176, 0xC0000082, 0xC0000083, 0xC0000100, 0xC0000101, 0xC0000102})
  void addressesHaveToBeCanonical(int index) {
    assertRefused(index, NOT_CANONICAL);
    write(index, 0xFFFF_8000_0000_0000L);
    assertThat(read(index)).isEqualTo(0xFFFF_8000_0000_0000L);
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        0x48,
        0x49,
        0x10A,
        0x210,
        0x24F,
        0x257,
        0x25A,
        0x267,
        0x270,
        0x276,
        0x278,
        0x2FE,
        0x300,
        0xC0000104,
        0xC0010112,
        0xC0010114,
        0xC001011F,
        0x4000_0000,
        0x4b564d00,
        0x12345
      })
  void unknownRegistersRaiseGeneralProtection(int index) {
    guest.assertFault(GENERAL_PROTECTION, 0, () -> read(index));
    assertRefused(index, 0);
  }

  @Test
  void userModeMayNotAccessRegisters() {
    Guest user = Guest.long64(3);
    user.assertFault(
        GENERAL_PROTECTION, 0, () -> ModelSpecificRegisters.read(user.processor, 0x10));
    user.assertFault(
        GENERAL_PROTECTION, 0, () -> ModelSpecificRegisters.write(user.processor, 0x10, 0));
  }

  @Test
  void extendedFeatures() {
    int efer = 0xC000_0080;
    assertRefused(efer, EFER_SCE);
    for (int bit : new int[] {1, 9, 12, 13, 14, 15, 20, 32}) {
      assertRefused(efer, EFER_LME | 1L << bit);
    }
    write(efer, EFER_SCE | EFER_LME | EFER_NXE | 1 << 21);
    assertThat(read(efer)).isEqualTo(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | 1 << 21);
    assertThat(guest.processor.told).contains("flush all");
  }

  @Test
  void timeStampAndItsAdjustmentMoveTogether() {
    assertThat(read(0x10)).isEqualTo(1000);
    write(0x10, 5000);
    assertThat(read(0x10)).isEqualTo(5000);
    assertThat(read(0x3B)).isEqualTo(4000);
    write(0x3B, 1);
    assertThat(read(0x10)).isEqualTo(1001);
  }

  @Test
  void memoryTypesAreChecked() {
    assertRefused(0x277, 2);
    write(0x277, 0x0007_0406_0007_0406L);
    assertThat(guest.state.pat).isEqualTo(0x0007_0406_0007_0406L);
    assertRefused(0x250, 7);
    assertRefused(0x2FF, 2);
    assertRefused(0x2FF, 0x1006);
    write(0x2FF, 0xC06);
    assertThat(read(0x2FF)).isEqualTo(0xC06);
    assertRefused(0x200, 0x106);
    assertRefused(0x201, 0x400);
    assertRefused(0x201, 1L << 40);
    write(0x201, 0xFF_C000_0800L);
    assertThat(read(0x201)).isEqualTo(0xFF_C000_0800L);
    assertThat(read(0xFE)).isEqualTo(0x508);
  }

  @Test
  void controllerRegistersGoToTheController() {
    guest.processor.controllerMsrs.put(0x1B, 0xFEE0_0900L);
    guest.processor.controllerMsrs.put(0x6E0, 0L);
    guest.processor.controllerMsrs.put(0x808, 0L);
    assertThat(read(0x1B)).isEqualTo(0xFEE0_0900L);
    write(0x6E0, 77);
    write(0x808, 0x20);
    assertThat(guest.processor.controllerMsrs).containsEntry(0x6E0, 77L).containsEntry(0x808, 32L);
    guest.assertFault(GENERAL_PROTECTION, 0, () -> read(0x8FF));
    assertRefused(0x830, 0);
  }

  @Test
  void whatKernelsReadOnAnyAmdProcessor() {
    assertThat(read(0x8B)).isEqualTo(CpuModel.MICROCODE_REVISION);
    assertThat(read(0xC001_0015)).isEqualTo(1 << 24);
    assertThat(read(0xC001_1029)).isEqualTo(2);
    for (int index : new int[] {0xC0010010, 0xC001001F, 0xC0011020, 0xC0010140, 0xC0010141}) {
      write(index, 1);
      assertThat(read(index)).isZero();
    }
  }

  @Test
  void machineCheckHasNoBanks() {
    assertThat(read(0x179)).isZero();
    write(0x17A, 0);
    assertRefused(0x17A, 4);
  }

  @Test
  void fsAndGsBasesAreThoseOfTheSegments() {
    write(0xC000_0101, 0x1234);
    assertThat(guest.state.segmentBase[CpuState.GS]).isEqualTo(0x1234);
  }
}
