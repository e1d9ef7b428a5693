package io.anillo.vmm.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.device.DoorbellRegion;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.interpret.SmallMachine;
import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Small guests in all modes, in ring 0 and in ring 3. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class KvmCpuTest {
  private static final int UNDEFINED = 6, PAGE_FAULT = 14;

  /** mov ecx, 1000; xor eax, eax; again: add eax, ecx; loop again. */
  private static final String SUM_32 = "b9e8030000 31c0 01c8 e2fc";

  private static final int SUM = 500_500;

  /** Where a loop leaves its count. */
  private static final int COUNTER = 0x201000;

  /** On hardware that QEMU's translator plays ({@link NestedHardwareTest}). */
  private static final boolean NESTED = Boolean.getBoolean("anillo.nested");

  private final SmallMachine small = new SmallMachine();

  @AfterEach
  void close() {
    small.close();
  }

  private long general(KvmCpu cpu, int register) {
    return cpu.state().general[register];
  }

  @Test
  void realMode() throws KvmException {
    small.realMode();
    // mov cx, 1000; xor eax, eax; again: add ax, cx; loop; then a far call and its return
    small.code(SmallMachine.CODE, "b9e803 6631c0 01c8 e2fc 9a10000004");
    small.code(SmallMachine.CODE + 0x10, "bb3412 cb");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(general(hardware.cpu, CpuState.RAX)).isEqualTo(SUM & 0xFFFF);
      assertThat(general(hardware.cpu, CpuState.RBX) & 0xFFFF).isEqualTo(0x1234);
      assertThat(hardware.cpu.state().segmentBase[CpuState.CS]).isEqualTo(SmallMachine.CODE);
    }
  }

  @Test
  void protectedAndLongModeInBothRings() throws KvmException {
    bothRings(new int[] {0, 3, 4});
  }

  @Test
  void pagingOutsideLongModeInBothRings() throws KvmException {
    try {
      bothRings(new int[] {1, 2});
    } catch (IllegalStateException e) {
      assumeFalse(
          String.valueOf(e.getMessage()).contains("no paging outside long mode"), e.getMessage());
      throw e;
    }
  }

  private void bothRings(int[] modes) throws KvmException {
    for (int mode : modes) {
      for (boolean user : new boolean[] {false, true}) {
        small.reset();
        switch (mode) {
          case 0 -> small.protectedMode(true);
          case 1 -> {
            small.protectedMode(true);
            small.paging32();
          }
          case 2 -> {
            small.protectedMode(true);
            small.pagingPae();
          }
          case 3 -> small.longMode(true);
          default -> small.longMode(false);
        }
        if (user && mode < 3 && NESTED) {
          // QEMU ends when ring 3 is left by a busy 32-bit task, as VMRUN makes it.
          continue;
        }
        if (user) {
          small.userMode();
        }
        // The sum, and then an exception, which leads to a HLT in ring 0.
        small.code(SmallMachine.CODE, SUM_32 + "0f0b");
        try (HardwareMachine hardware = new HardwareMachine(small)) {
          assertThat(hardware.cpu.run(Long.MAX_VALUE))
              .as("mode %d, user %s", mode, user)
              .isEqualTo(new Exit.Halted());
          CpuState state = hardware.cpu.state();
          assertThat(state.general[CpuState.RAX]).isEqualTo(SUM);
          assertThat(state.privilege).isZero();
          HardwareMachine.move(state, small.state);
          small.assertFault(UNDEFINED, SmallMachine.CODE + 11);
        }
      }
    }
  }

  @Test
  void pageFaultsTellTheirAddress() throws KvmException {
    small.longMode(true);
    small.userMode();
    // mov eax, [0x600000], which is not mapped
    small.code(SmallMachine.CODE, "8b042500006000");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      hardware.cpu.run(Long.MAX_VALUE);
      HardwareMachine.move(hardware.cpu.state(), small.state);
      small.assertFault(PAGE_FAULT, SmallMachine.CODE);
      assertThat(small.state.cr2).isEqualTo(0x600000);
      assertThat(small.errorCode()).isEqualTo(4);
    }
  }

  @Test
  void portsAndStringsOfThem() throws KvmException {
    small.protectedMode(true);
    // mov dx,0x1234; in eax,dx; out dx,al; in al,0x60; out 0x61,ax; outsb x3; insw x2
    small.code(
        SmallMachine.CODE,
        "66ba3412 ed ee e460 66e761 be00000800 b903000000 f36e bf00010800 b902000000 f3666d");
    small.memory.putInt(SmallMachine.DATA, 0x00636261);
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(hardware.bus.accesses)
          .containsExactly(
              "in 1234 4",
              "out 1234 1 34",
              "in 60 1",
              "out 61 2 1260",
              "out 1234 1 61",
              "out 1234 1 62",
              "out 1234 1 63",
              "in 1234 2",
              "in 1234 2");
      assertThat(small.memory.getInt(SmallMachine.DATA + 0x100)).isEqualTo(0x12341234);
      assertThat(general(hardware.cpu, CpuState.RCX)).isZero();
    }
  }

  @Test
  void memoryMappedRegisters() throws KvmException {
    small.protectedMode(true);
    // mov eax,[0xfeb00010]; mov [0xfeb00014],eax; mov bl,[0xfeb00001]; add dword [0xfeb00020],5
    small.code(SmallMachine.CODE, "a11000b0fe a31400b0fe 8a1d0100b0fe 83052000b0fe05");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(hardware.bus.accesses)
          .containsExactly(
              "read feb00010 4",
              "write feb00014 4 feb00010",
              "read feb00001 1",
              "read feb00020 4",
              "write feb00020 4 feb00025");
    }
  }

  @Test
  void interruptsWaitForTheirWindow() throws KvmException {
    small.longMode(true);
    // mov ecx,1000; again: loop again; sti; nop; again: jmp again
    small.code(SmallMachine.CODE, "b9e8030000 e2fe fb 90 ebfe");
    small.controller.vector = 0x40;
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      HardwareMachine.move(hardware.cpu.state(), small.state);
      // The instruction behind STI runs first.
      small.assertFault(0x40, SmallMachine.CODE + 9);
      assertThat(hardware.exits.of(ExitReason.INTERRUPT_WINDOW)).isPositive();
      assertThat(hardware.cpu.interruptsTaken()).isEqualTo(1);
    }
  }

  /** The processor is kicked after KVM was given an interrupt, and another one waits then. */
  @Test
  void aSecondInterruptDoesNotTakeTheFirstOnesPlace() throws KvmException {
    small.longMode(true);
    // sti; again: jmp again; every handler halts
    small.code(SmallMachine.CODE, "fb ebfe");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      kickSoon(hardware.cpu);
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Interrupted());
      small.controller.vector = 0x40;
      small.controller.onAcknowledge = hardware.cpu::kick;
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Interrupted());
      small.controller.onAcknowledge = () -> {};
      small.controller.vector = 0x41;
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      HardwareMachine.move(hardware.cpu.state(), small.state);
      small.assertFault(0x40, SmallMachine.CODE + 1);
      assertThat(small.controller.vector).as("waits still").isEqualTo(0x41);
    }
  }

  @Test
  void doorbellsAreHeardWhileTheGuestGoesOn() throws Exception {
    small.protectedMode(true);
    // mov ecx, 100; again: mov [0xfeb03004], cx; loop again; mov [0xfeb03008], cx
    small.code(SmallMachine.CODE, "b964000000 66890d0430b0fe e2f7 66890d0830b0fe");
    CountDownLatch rung = new CountDownLatch(1);
    DoorbellRegion region = new Region(rung);
    try (HardwareMachine hardware = new HardwareMachine(small);
        KvmDoorbells doorbells = hardware.machine.hearDoorbells(Runnable::run)) {
      doorbells.placed(0xFEB00000L, region);
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(rung.await(30, TimeUnit.SECONDS)).isTrue();
      // The other address is no doorbell.
      assertThat(hardware.bus.accesses).containsExactly("write feb03008 2 0");
      assertThat(doorbells.heard()).isBetween(1L, 100L);
      doorbells.removed(0xFEB00000L, region);
      hardware.bus.accesses.clear();
      hardware.cpu.state().rip = SmallMachine.CODE;
      hardware.cpu.state().halted = false;
      hardware.cpu.stateReplaced();
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(hardware.bus.accesses).hasSize(101);
    }
  }

  private record Region(CountDownLatch rungOnce) implements DoorbellRegion {
    @Override
    public int[] doorbells() {
      return new int[] {0x3000, 0x3004};
    }

    @Override
    public void rung() {
      rungOnce.countDown();
    }

    @Override
    public long readMmio(long offset, int sizeBytes) {
      return 0;
    }

    @Override
    public void writeMmio(long offset, int sizeBytes, long value) {}
  }

  private static void kickSoon(KvmCpu cpu) {
    Thread.ofVirtual()
        .start(() -> {
          LockSupport.parkNanos(20_000_000);
          cpu.kick();
        });
  }

  @Test
  void anInterruptEndsHalt() throws KvmException {
    small.longMode(true);
    small.code(SmallMachine.CODE, "fb f4 ffc3");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(general(hardware.cpu, CpuState.RBX)).isZero();
      small.controller.vector = 0x41;
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      HardwareMachine.move(hardware.cpu.state(), small.state);
      small.assertFault(0x41, SmallMachine.CODE + 2);
    }
  }

  @Test
  void nonMaskableInterruptsAndKicksOfAwareGuests() throws KvmException {
    small.longMode(true);
    small.code(SmallMachine.CODE, "f4 ffc3");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      hardware.cpu.wake();
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      assertThat(general(hardware.cpu, CpuState.RBX)).isEqualTo(1);
      hardware.cpu.nmi();
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Halted());
      HardwareMachine.move(hardware.cpu.state(), small.state);
      small.assertFault(2, SmallMachine.CODE + 4);
      assertThat(hardware.cpu.state().nmiBlocked).isTrue();
    }
  }

  @Test
  void aRunningGuestIsKicked() throws Exception {
    for (boolean user : new boolean[] {false, true}) {
      small.reset();
      small.longMode(true);
      if (user) {
        small.userMode();
      }
      // again: inc rbx; mov [0x201000], ebx; jmp again
      small.code(SmallMachine.CODE, "48ffc3 891c2500102000 ebf4");
      try (HardwareMachine hardware = new HardwareMachine(small)) {
        for (int round = 0; round < 20; round++) {
          int start = small.memory.getInt(COUNTER);
          Thread other =
              Thread.ofPlatform()
                  .start(() -> {
                    while (small.memory.getInt(COUNTER) == start) {
                      Thread.onSpinWait();
                    }
                    hardware.cpu.kick();
                  });
          assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Interrupted());
          other.join();
          long before = general(hardware.cpu, CpuState.RBX);
          assertThat(before).isPositive();
          hardware.cpu.kick();
          assertThat(hardware.cpu.run(Long.MAX_VALUE)).isEqualTo(new Exit.Interrupted());
          assertThat(general(hardware.cpu, CpuState.RBX))
              .as("a kick that was early")
              .isEqualTo(before);
        }
        assertThat(hardware.cpu.state().rip)
            .isIn(
                (long) SmallMachine.CODE,
                (long) SmallMachine.CODE + 3,
                (long) SmallMachine.CODE + 10);
        assertThat(hardware.cpu.state().privilege).isEqualTo(user ? 3 : 0);
      }
    }
  }

  @Test
  void aTripleFaultIsAShutdown() throws KvmException {
    small.longMode(true);
    small.state.idtLimit = 0;
    small.code(SmallMachine.CODE, "0f0b");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      assertThat(hardware.cpu.run(Long.MAX_VALUE)).isInstanceOf(Exit.Shutdown.class);
    }
  }

  @Test
  void theWholeStateGoesInAndComesOut() throws KvmException {
    SplittableRandom random = new SplittableRandom(7);
    for (int round = 0; round < 20; round++) {
      small.reset();
      small.longMode(true);
      CpuState state = small.state;
      for (int i = 0; i < 16; i++) {
        state.general[i] = random.nextLong();
      }
      for (int i = 0; i < state.xmm.length; i++) {
        state.xmm[i] = random.nextLong();
      }
      for (int i = 0; i < 8; i++) {
        state.x87Significand[i] = random.nextLong() | Long.MIN_VALUE;
        state.x87SignExponent[i] = random.nextInt(0x10000);
      }
      state.x87Control = 0x27F;
      state.x87Top = random.nextInt(8);
      state.x87Status = random.nextInt(0x80);
      // With an exception that is not masked, the summary bits would have to be set.
      state.x87Status &= 0x40;
      state.x87Valid = random.nextInt(256);
      state.mxcsr = 0x1F80 | random.nextInt(64);
      state.cr2 = random.nextLong();
      state.kernelGsBase = random.nextInt();
      state.segmentBase[CpuState.FS] = random.nextInt();
      state.segmentBase[CpuState.GS] = random.nextInt();
      state.debug[0] = random.nextInt();
      state.debug[6] = 0xFFFF_0FF0L;
      state.debug[7] = 0x400;
      state.interruptShadow = round % 3 == 1;
      state.nmiBlocked = round % 2 == 1;
      state.star = random.nextLong();
      state.lstar = random.nextInt();
      state.setRflags(
          random.nextInt() & (CpuState.ARITHMETIC_FLAGS | CpuState.DF | CpuState.ID) | 2);
      byte[] before = HardwareMachine.bytes(state);
      try (HardwareMachine hardware = new HardwareMachine(small)) {
        hardware.cpu.giveAndForget();
        assertThat(HardwareMachine.bytes(hardware.cpu.state())).isEqualTo(before);
      }
    }
  }

  @Test
  void pagesThatAreWrittenAreLogged() throws KvmException {
    small.longMode(true);
    // mov byte [0x201000], 1; mov byte [0x203000], 1; hlt; mov byte [0x205000], 1
    small.code(SmallMachine.CODE, "c6042500102000 01 c6042500302000 01 f4 c6042500502000 01");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      hardware.machine.logDirtyPages(true);
      hardware.machine.takeDirtyPages();
      hardware.cpu.run(Long.MAX_VALUE);
      BitSet first = hardware.machine.takeDirtyPages();
      assertThat(first.get(0x201)).isTrue();
      assertThat(first.get(0x203)).isTrue();
      assertThat(first.get(0x202)).isFalse();
      hardware.cpu.wake();
      hardware.cpu.run(Long.MAX_VALUE);
      BitSet second = hardware.machine.takeDirtyPages();
      assertThat(second.get(0x201)).isFalse();
      assertThat(second.get(0x205)).isTrue();
      hardware.machine.logDirtyPages(false);
    }
  }

  @Test
  void aProbeMeasuresHowFastKernelCodeRuns() {
    KvmProbe.Result result = KvmProbe.measure();
    assertThat(result.sentence()).isNotEmpty().doesNotEndWith(".");
    if (result.instructionsPerSecond() > 0) {
      assertThat(result.fast())
          .isEqualTo(result.instructionsPerSecond() >= KvmProbe.FAST_INSTRUCTIONS_PER_SECOND);
    } else {
      assertThat(result.fast()).isFalse();
    }
  }

  @Test
  void memoryBelongsToBoth() throws KvmException {
    small.longMode(true);
    small.code(SmallMachine.CODE, "ff0500c00700");
    try (HardwareMachine hardware = new HardwareMachine(small)) {
      hardware.cpu.run(Long.MAX_VALUE);
      assertThat(small.memory.getInt(SmallMachine.CODE + 6 + 0x7C000)).isEqualTo(1);
      assertThat(GuestMemory.PAGE_BYTES).isEqualTo(4096);
    }
  }
}
