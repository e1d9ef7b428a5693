package io.anillo.vmm.x86.execute.simd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What recordings of user programs cannot show: availability, stores, forms of memory operands. */
class SimdUnitTest {
  private static final int MMX = SimdUnit.FORM_MMX, WIDE = SimdUnit.FORM_WIDE;

  private final GuestMemory memory = new GuestMemory(GuestMemory.PAGE_BYTES);
  private final SmallProcessor processor = new SmallProcessor(memory);
  private final SimdUnit unit = new SimdUnit(processor);
  private final CpuState state = processor.state;

  @BeforeEach
  void enable() {
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_NE;
    state.cr4 = CpuState.CR4_OSFXSR | CpuState.CR4_OSXMMEXCPT;
  }

  @AfterEach
  void close() {
    memory.close();
  }

  private static int vectorOf(ThrowingCallable code) {
    return catchThrowableOfType(GuestFault.class, code).vector;
  }

  private int availability(SimdOperation operation, int form) {
    return vectorOf(() -> unit.checkAvailable(operation, form));
  }

  @Test
  void emulationMakesEveryInstructionUndefinedEvenIfTasksWereSwitched() {
    state.cr0 |= CpuState.CR0_EM | CpuState.CR0_TS;
    assertThat(availability(SimdOperation.PADDB, MMX)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(availability(SimdOperation.PADDB, 0)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(availability(SimdOperation.EMMS, 0)).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void instructionsOnXmmRegistersNeedTheOperatingSystemsConsent() {
    state.cr4 = 0;
    unit.checkAvailable(SimdOperation.PADDB, MMX);
    unit.checkAvailable(SimdOperation.EMMS, 0);
    assertThat(availability(SimdOperation.PADDB, 0)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(availability(SimdOperation.MOVQ2DQ, MMX)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(availability(SimdOperation.CVTPS2PI, MMX)).isEqualTo(GuestFault.INVALID_OPCODE);
  }

  @Test
  void aTaskSwitchMakesTheUnitUnavailable() {
    state.cr0 |= CpuState.CR0_TS;
    assertThat(availability(SimdOperation.ADDSD, 0)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
    assertThat(availability(SimdOperation.EMMS, 0)).isEqualTo(GuestFault.DEVICE_NOT_AVAILABLE);
  }

  @Test
  void aPendingX87ExceptionIsRaisedByMmxOnly() {
    state.x87Status = 0x80;
    unit.checkAvailable(SimdOperation.PADDB, 0);
    assertThat(availability(SimdOperation.PADDB, MMX)).isEqualTo(GuestFault.X87);
    assertThat(availability(SimdOperation.EMMS, 0)).isEqualTo(GuestFault.X87);
  }

  @Test
  void anUnmaskedExceptionIsUndefinedWithoutTheOperatingSystemsConsent() {
    state.cr4 = CpuState.CR4_OSFXSR;
    state.mxcsr = 0;
    ThrowingCallable divide = () -> unit.execute(SimdOperation.DIVSD, 0, 0, 0, 0, 0);
    assertThat(vectorOf(divide)).isEqualTo(GuestFault.INVALID_OPCODE);
    assertThat(state.mxcsr).isEqualTo(SseControl.INVALID);
    state.cr4 |= CpuState.CR4_OSXMMEXCPT;
    assertThat(vectorOf(divide)).isEqualTo(GuestFault.SIMD);
  }

  @Test
  void reservedBitsOfMxcsrCannotBeLoaded() {
    unit.loadMxcsr(0xFFFF);
    assertThat(vectorOf(() -> unit.loadMxcsr(0x11F80))).isEqualTo(GuestFault.GENERAL_PROTECTION);
    assertThat(state.mxcsr).isEqualTo(0xFFFF);
  }

  @Test
  void emptyingMmxStateClearsTheStackTop() {
    state.x87Valid = 0xFF;
    state.x87Top = 5;
    unit.execute(SimdOperation.EMMS, 0, 0, 0, 0, 0);
    assertThat(state.x87Valid).isZero();
    assertThat(state.x87Top).isZero();
  }

  @Test
  void aMaskedStoreWritesTheChosenBytesOnly() {
    state.xmm[6] = 0x1716151413121110L;
    state.xmm[7] = 0x1F1E1D1C1B1A1918L;
    unit.maskedStore(0x100, 3, 0x8000000000008000L, 0x80L, 0);
    assertThat(processor.load(0x100, 8)).isEqualTo(0x1700000000001100L);
    assertThat(processor.load(0x108, 8)).isEqualTo(0x18L);
    state.x87Significand[2] = 0x0807060504030201L;
    unit.maskedStore(0x200, 2, 0x00FF00000000007FL, -1, MMX);
    assertThat(processor.load(0x200, 8)).isEqualTo(0x0007000000000000L);
    assertThat(processor.load(0x208, 8)).isZero();
    assertThat(state.x87Valid).isEqualTo(0xFF);
  }

  @Test
  void aMaskedStoreThatFaultsStoresNothing() {
    state.xmm[0] = -1;
    state.xmm[1] = -1;
    processor.writeLimit = 0x108;
    assertThat(vectorOf(() -> unit.maskedStore(0x100, 0, -1, 0x80, 0)))
        .isEqualTo(GuestFault.PAGE_FAULT);
    assertThat(processor.load(0x100, 8)).isZero();
    unit.maskedStore(0x100, 0, -1, 0, 0);
    assertThat(processor.load(0x100, 8)).isEqualTo(-1);
  }

  @Test
  void storesTakeTheHalfThatTheMoveNames() {
    state.xmm[2] = 1;
    state.xmm[3] = 2;
    state.x87Significand[1] = 3;
    assertThat(unit.toMemory(SimdOperation.MOVLPS, 1, 0)).isEqualTo(1);
    assertThat(unit.toMemory(SimdOperation.MOVHPD, 1, 0)).isEqualTo(2);
    assertThat(unit.toMemory(SimdOperation.MOVAPS, 1, 0)).isEqualTo(1);
    assertThat(state.x87Valid).isZero();
    assertThat(unit.toMemory(SimdOperation.MOVNTQ, 1, MMX)).isEqualTo(3);
    assertThat(state.x87Valid).isEqualTo(0xFF);
  }

  @Test
  void memoryOperandsHaveTheWidthOfTheForm() {
    assertThat(SimdOperation.PADDB.memoryBytes(0)).isEqualTo(16);
    assertThat(SimdOperation.PADDB.memoryBytes(MMX)).isEqualTo(8);
    assertThat(SimdOperation.PUNPCKLBW.memoryBytes(MMX)).isEqualTo(4);
    assertThat(SimdOperation.PUNPCKHBW.memoryBytes(MMX)).isEqualTo(8);
    assertThat(SimdOperation.CVTTPD2PI.memoryBytes(MMX)).isEqualTo(16);
    assertThat(SimdOperation.CVTSI2SD.memoryBytes(WIDE)).isEqualTo(8);
    assertThat(SimdOperation.PINSRD.memoryBytes(0)).isEqualTo(4);
    assertThat(SimdOperation.PMOVSXBQ.memoryBytes(0)).isEqualTo(2);
  }

  @Test
  void onlyWholeRegistersOfAlignedInstructionsMustBeAligned() {
    assertThat(SimdOperation.MOVAPS.alignedMemory(0)).isTrue();
    assertThat(SimdOperation.ADDPS.alignedMemory(0)).isTrue();
    assertThat(SimdOperation.CVTPD2PI.alignedMemory(MMX)).isTrue();
    assertThat(SimdOperation.PADDB.alignedMemory(MMX)).isFalse();
    assertThat(SimdOperation.MOVDQU.alignedMemory(0)).isFalse();
    assertThat(SimdOperation.LDDQU.alignedMemory(0)).isFalse();
    assertThat(SimdOperation.PCMPISTRI.alignedMemory(0)).isFalse();
    assertThat(SimdOperation.ADDSD.alignedMemory(0)).isFalse();
  }
}
