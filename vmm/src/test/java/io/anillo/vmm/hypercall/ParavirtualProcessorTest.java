package io.anillo.vmm.hypercall;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts.UnknownMsrException;
import io.anillo.vmm.machine.TestMachine;
import io.anillo.vmm.memory.GuestMemory;
import java.math.BigInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ParavirtualProcessorTest {
  private static final int PAGE = 0x5000;
  private static final long NOT_MEMORY = 0x1000_0000L;
  private static final long HERTZ = 2_596_148_000L;

  private final TestMachine machine = new TestMachine(3);
  private final GuestMemory memory = machine.base.memory;
  private final CpuState state = new CpuState();
  private final ParavirtualProcessor processor = processor(1_000_000_000);

  @AfterEach
  void close() {
    machine.close();
  }

  private ParavirtualProcessor processor(long tscHertz) {
    return machine.board.paravirtualOf(0, state, tscHertz, machine.signals);
  }

  /** As Linux computes it (pvclock_read_retry and pvclock_scale_delta). */
  private long guestTime(long tsc) {
    assertThat(memory.getInt(PAGE) & 1).as("version").isZero();
    long delta = tsc - memory.getLong(PAGE + 8);
    int shift = memory.getByte(PAGE + 28);
    delta = shift < 0 ? delta >>> -shift : delta << shift;
    BigInteger scaled =
        new BigInteger(Long.toUnsignedString(delta))
            .multiply(BigInteger.valueOf(memory.getInt(PAGE + 24) & 0xFFFF_FFFFL))
            .shiftRight(32);
    return memory.getLong(PAGE + 16) + scaled.longValue();
  }

  @Test
  void theClockPageGivesTheBoardsTime() {
    state.tscOffset = -5_000;
    processor.write(KvmInterface.MSR_SYSTEM_TIME, PAGE | 1);
    long hour = 3_600_000_000_000L;
    assertThat(guestTime(hour + state.tscOffset)).isEqualTo(hour);
    assertThat(memory.getByte(PAGE + 29)).as("stable").isEqualTo((byte) 1);
    // The guest writes its time stamp counter: the page follows.
    int version = memory.getInt(PAGE);
    state.tscOffset = 77;
    processor.timeStampChanged();
    assertThat(memory.getInt(PAGE)).isNotEqualTo(version);
    assertThat(guestTime(hour + 77)).isEqualTo(hour);
    assertThat(processor.read(KvmInterface.MSR_SYSTEM_TIME)).isEqualTo(PAGE | 1);
  }

  @Test
  void aCounterOfAnotherFrequencyGivesTheSameTime() {
    state.tscOffset = 123_456_789;
    ParavirtualProcessor other = processor(HERTZ);
    other.write(KvmInterface.MSR_SYSTEM_TIME, PAGE | 1);
    long day = 86_400_000_000_000L;
    long tsc = ParavirtualProcessor.ticks(day + state.tscOffset, HERTZ);
    // The multiplier has 32 bits: some 10 microseconds in a day.
    assertThat(guestTime(tsc)).isBetween(day - 20_000, day + 20_000);
  }

  @Test
  void wallClockAndClockPairing() {
    processor.write(KvmInterface.MSR_WALL_CLOCK, PAGE);
    assertThat(memory.getInt(PAGE) & 1).isZero();
    assertThat(memory.getInt(PAGE + 4)).isEqualTo(1_709_164_798);
    machine.advance(1_500_000_000);
    assertThat(call(KvmInterface.CLOCK_PAIRING, PAGE + 64, 0, 0, 0)).isZero();
    assertThat(memory.getLong(PAGE + 64)).isEqualTo(1_709_164_799);
    assertThat(memory.getLong(PAGE + 72)).isEqualTo(500_000_000);
    assertThat(memory.getLong(PAGE + 80)).isEqualTo(1_500_000_000);
    assertThat(call(KvmInterface.CLOCK_PAIRING, NOT_MEMORY, 0, 0, 0))
        .isEqualTo(KvmInterface.BAD_ADDRESS);
    assertThat(call(KvmInterface.CLOCK_PAIRING, PAGE, 1, 0, 0))
        .isEqualTo(KvmInterface.NOT_SUPPORTED);
  }

  @Test
  void stolenTimeAndWhetherTheProcessorRuns() {
    processor.write(KvmInterface.MSR_STEAL_TIME, PAGE | 1);
    processor.stolen(1_000);
    processor.stolen(500);
    assertThat(memory.getLong(PAGE)).isEqualTo(1_500);
    assertThat(memory.getInt(PAGE + 8) & 1).isZero();
    processor.waits();
    assertThat(memory.getByte(PAGE + 16)).isEqualTo((byte) 1);
    assertThat(processor.goesOn()).isFalse();
    assertThat(memory.getByte(PAGE + 16)).isZero();
    processor.waits();
    // Another processor of the guest asks for a flush.
    memory.putByte(PAGE + 16, (byte) 3);
    assertThat(processor.goesOn()).isTrue();
    assertThat(processor.tlbFlushesSaved()).isEqualTo(1);
    processor.write(KvmInterface.MSR_STEAL_TIME, 0);
    memory.putByte(PAGE + 16, (byte) 9);
    processor.waits();
    assertThat(memory.getByte(PAGE + 16)).as("no longer the monitor's").isEqualTo((byte) 9);
  }

  @Test
  void addressesThatAreNoMemoryAreRefused() {
    for (int msr :
        new int[] {
          KvmInterface.MSR_SYSTEM_TIME,
          KvmInterface.MSR_WALL_CLOCK,
          KvmInterface.MSR_STEAL_TIME,
          KvmInterface.MSR_END_OF_INTERRUPT
        }) {
      for (long address : new long[] {NOT_MEMORY, -4096, 0x7FFF_FFFF_FFFF_F000L}) {
        assertThatThrownBy(() -> processor.write(msr, address | 1))
            .as("%x at %x", msr, address)
            .isInstanceOf(UnknownMsrException.class);
      }
      assertThat(processor.read(msr)).isZero();
    }
    assertThatThrownBy(() -> processor.write(KvmInterface.MSR_STEAL_TIME, PAGE + 8 | 1))
        .isInstanceOf(UnknownMsrException.class);
  }

  private long call(long number, long a, long b, long c, long d) {
    state.segmentAccess[CpuState.CS] = CpuState.ACCESS_LONG;
    state.efer = CpuState.EFER_LMA;
    state.general[CpuState.RAX] = number;
    state.general[CpuState.RBX] = a;
    state.general[CpuState.RCX] = b;
    state.general[CpuState.RDX] = c;
    state.general[CpuState.RSI] = d;
    processor.call();
    return state.general[CpuState.RAX];
  }

  @Test
  void oneCallSendsInterruptsToMany() {
    for (int cpu = 0; cpu < 3; cpu++) {
      machine.apic(cpu, 0xF0, 0x1FF);
    }
    assertThat(call(KvmInterface.SEND_IPI_CALL, 0b110, 0, 0, 0x51)).isEqualTo(2);
    assertThat(machine.take(0)).isEqualTo(-1);
    assertThat(machine.take(1)).isEqualTo(0x51);
    assertThat(machine.take(2)).isEqualTo(0x51);
    // The bitmap begins at processor 1; those beyond the last are not there.
    assertThat(call(KvmInterface.SEND_IPI_CALL, 0b101, -1, 1, 0x62)).isEqualTo(1);
    assertThat(machine.take(1)).isEqualTo(0x62);
    assertThat(call(KvmInterface.SEND_IPI_CALL, 2, 0, 0, 0x500)).as("INIT").isZero();
  }

  @Test
  void kicksReachTheirProcessor() {
    assertThat(call(KvmInterface.KICK_CPU, 0, 2, 0, 0)).isZero();
    assertThat(machine.signals.get(2).events).containsExactly("wake");
    assertThat(call(KvmInterface.KICK_CPU, 0, 99, 0, 0)).isZero();
    assertThat(call(KvmInterface.SCHED_YIELD_CALL, 1, 0, 0, 0)).isZero();
  }

  @Test
  void unknownCallsAndCallsOfProgramsAreRefused() {
    assertThat(call(4711, 0, 0, 0, 0)).isEqualTo(KvmInterface.NO_SUCH_CALL);
    assertThat(call(-1, 0, 0, 0, 0)).isEqualTo(KvmInterface.NO_SUCH_CALL);
    state.privilege = 3;
    assertThat(call(KvmInterface.KICK_CPU, 0, 1, 0, 0)).isEqualTo(KvmInterface.NOT_PERMITTED);
    assertThat(machine.signals.get(1).events).isEmpty();
    state.privilege = 0;
    state.efer = 0;
    state.general[CpuState.RAX] = 0xDEAD_0000_0000_0FFFL;
    processor.call();
    assertThat(state.general[CpuState.RAX]).as("32 bits").isEqualTo(0xFFFF_FC18L);
  }
}
