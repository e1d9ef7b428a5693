package io.anillo.vmm.hypercall;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.cpu.LocalInterrupts.UnknownMsrException;
import io.anillo.vmm.cpu.ParavirtualRegisters;
import io.anillo.vmm.device.Board;

/**
 * The paravirtual interface as one processor has it: its model-specific registers, its shared
 * pages, and the hypercalls it makes. Called by the processor's own thread, or while it is stopped.
 * What is remembered lies in {@link ParavirtualRegisters} and in guest memory.
 *
 * <p>Addresses come from the guest: a page that is not RAM is refused with #GP, or with a negative
 * result.
 */
public final class ParavirtualProcessor {
  /** First function number of our own calls: {@code OWN_CALLS + n} in RAX. */
  public static final int OWN_CALLS = 0x414E_0000;

  private static final int OWN_CALLS_END = OWN_CALLS + 0x1_0000;
  private static final int LONG_MODE_TARGETS = 64;
  private static final long ENABLED = 1;
  private static final int PAIRING_BYTES = 64;
  private static final long NANOS = 1_000_000_000;

  private final CpuState state;
  private final ParavirtualRegisters registers;
  private final Board board;
  private final LocalInterrupts interrupts;
  private final InterprocessorCalls others;
  private final OwnCalls ownCalls;
  private final long tscHertz;
  private final long[] calls = new long[Hypercall.values().length];
  private long tlbFlushesSaved;

  /**
   * Makes the interface of a processor.
   *
   * @param tscHertz frequency of the time stamp counter that the guest reads
   */
  public ParavirtualProcessor(
      CpuState state,
      Board board,
      LocalInterrupts interrupts,
      InterprocessorCalls others,
      OwnCalls ownCalls,
      long tscHertz) {
    this.state = state;
    this.registers = state.paravirtual;
    this.board = board;
    this.interrupts = interrupts;
    this.others = others;
    this.ownCalls = ownCalls;
    this.tscHertz = tscHertz;
  }

  /** Hypercalls made, of one kind. */
  public long calls(Hypercall kind) {
    return calls[kind.ordinal()];
  }

  /** Interrupts for TLB flushes that a note to a halted processor replaced. */
  public long tlbFlushesSaved() {
    return tlbFlushesSaved;
  }

  // ---- registers

  /** Whether a model-specific register belongs to this interface. */
  public static boolean knows(int index) {
    return switch (index) {
      case KvmInterface.MSR_WALL_CLOCK_OLD,
          KvmInterface.MSR_SYSTEM_TIME_OLD,
          KvmInterface.MSR_WALL_CLOCK,
          KvmInterface.MSR_SYSTEM_TIME,
          KvmInterface.MSR_STEAL_TIME,
          KvmInterface.MSR_END_OF_INTERRUPT ->
          true;
      default -> false;
    };
  }

  public long read(int index) {
    return switch (index) {
      case KvmInterface.MSR_WALL_CLOCK_OLD, KvmInterface.MSR_WALL_CLOCK -> registers.wallClock;
      case KvmInterface.MSR_SYSTEM_TIME_OLD, KvmInterface.MSR_SYSTEM_TIME -> registers.systemTime;
      case KvmInterface.MSR_STEAL_TIME -> registers.stealTime;
      default -> interrupts.readMsr(index);
    };
  }

  /**
   * Writes a register.
   *
   * @throws UnknownMsrException for an address that is not RAM or not aligned
   */
  public void write(int index, long value) {
    switch (index) {
      case KvmInterface.MSR_WALL_CLOCK_OLD, KvmInterface.MSR_WALL_CLOCK -> {
        requireRam(index, value & -4, 12);
        registers.wallClock = value;
        writeWallClock(value & -4);
      }
      case KvmInterface.MSR_SYSTEM_TIME_OLD, KvmInterface.MSR_SYSTEM_TIME -> {
        if ((value & ENABLED) != 0) {
          requireRam(index, value & ~ENABLED & -4, SharedClock.BYTES);
        }
        registers.systemTime = value;
        timeStampChanged();
      }
      case KvmInterface.MSR_STEAL_TIME -> {
        if ((value & ENABLED) != 0) {
          requireRam(index, value & ~ENABLED, StealTime.BYTES);
          if ((value & StealTime.BYTES - 1 & ~ENABLED) != 0) {
            throw new UnknownMsrException(index);
          }
        }
        registers.stealTime = value;
        if (stealTimeInUse()) {
          StealTime.write(board.memory(), stealTimeAddress(), registers.stolenNanos);
        }
      }
      default -> interrupts.writeMsr(index, value);
    }
  }

  private void requireRam(int index, long address, int bytes) {
    if (!board.memory().isRam(address, bytes)) {
      throw new UnknownMsrException(index);
    }
  }

  private void writeWallClock(long address) {
    long wall = board.wallOriginNanos();
    int version = board.memory().getInt(address) & ~1;
    board.memory().putInt(address, version + 1);
    board.memory().putInt(address + 4, (int) Math.floorDiv(wall, NANOS));
    board.memory().putInt(address + 8, (int) Math.floorMod(wall, NANOS));
    board.memory().putInt(address, version + 2);
    board.memory().announceWrite(address, 12);
  }

  /**
   * The processor's time stamp counter was written, or the machine goes on where it has another
   * frequency: the clock page says so.
   */
  public void timeStampChanged() {
    if ((registers.systemTime & ENABLED) != 0) {
      SharedClock.write(
          board.memory(), registers.systemTime & -4, scaled(state.tscOffset), tscHertz);
    }
  }

  /** Virtual nanoseconds as ticks of a time stamp counter, modulo 2^64. */
  public static long ticks(long nanos, long tscHertz) {
    return Math.floorDiv(nanos, NANOS) * tscHertz + Math.floorMod(nanos, NANOS) * tscHertz / NANOS;
  }

  private long scaled(long offsetNanos) {
    return ticks(offsetNanos, tscHertz);
  }

  // ---- running and not running

  /** Whether the guest wants to know of time that the host took. */
  public boolean tellsStolenTime() {
    return stealTimeInUse();
  }

  private boolean stealTimeInUse() {
    return (registers.stealTime & ENABLED) != 0;
  }

  private long stealTimeAddress() {
    return registers.stealTime & -StealTime.BYTES;
  }

  /** The processor's thread is about to wait for something to do. */
  public void waits() {
    if (stealTimeInUse()) {
      StealTime.stops(board.memory(), stealTimeAddress());
    }
  }

  /** It goes on. Tells whether all translations have to be dropped before. */
  public boolean goesOn() {
    boolean flush = stealTimeInUse() && StealTime.goesOn(board.memory(), stealTimeAddress());
    if (flush) {
      tlbFlushesSaved++;
    }
    return flush;
  }

  /** The host did not let the processor run for so long. */
  public void stolen(long nanos) {
    registers.stolenNanos += nanos;
    if (stealTimeInUse()) {
      StealTime.write(board.memory(), stealTimeAddress(), registers.stolenNanos);
    }
  }

  // ---- calls

  /**
   * VMCALL or VMMCALL: the number in RAX, arguments in RBX, RCX, RDX and RSI, the result in RAX.
   * Outside 64-bit mode all are 32 bits wide.
   */
  public void call() {
    boolean wide = state.code64();
    long mask = wide ? -1 : 0xFFFF_FFFFL;
    long[] general = state.general;
    long number = general[CpuState.RAX] & mask;
    long result =
        call(
            number,
            general[CpuState.RBX] & mask,
            general[CpuState.RCX] & mask,
            general[CpuState.RDX] & mask,
            general[CpuState.RSI] & mask,
            wide);
    general[CpuState.RAX] = result & mask;
  }

  private long call(long number, long a, long b, long c, long d, boolean wide) {
    if (state.privilege != 0) {
      count(Hypercall.REFUSED);
      return KvmInterface.NOT_PERMITTED;
    }
    if (number >= OWN_CALLS && number < OWN_CALLS_END) {
      count(Hypercall.OWN);
      return ownCalls.call((int) number - OWN_CALLS, a, b, c);
    }
    return switch (number < 0 || number > Integer.MAX_VALUE ? -1 : (int) number) {
      case KvmInterface.KICK_CPU -> {
        count(Hypercall.KICK_CPU);
        others.wake((int) b);
        yield 0;
      }
      case KvmInterface.CLOCK_PAIRING -> {
        count(Hypercall.CLOCK_PAIRING);
        yield pairClocks(a, b);
      }
      case KvmInterface.SEND_IPI_CALL -> {
        count(Hypercall.SEND_IPI);
        yield send(a, b, (int) c, (int) d, wide);
      }
      case KvmInterface.SCHED_YIELD_CALL -> {
        count(Hypercall.SCHED_YIELD);
        Thread.yield();
        yield 0;
      }
      // The interrupt that it asks for comes at the next boundary anyway.
      case KvmInterface.POLL_IRQ -> 0;
      default -> {
        count(Hypercall.REFUSED);
        yield KvmInterface.NO_SUCH_CALL;
      }
    };
  }

  private void count(Hypercall kind) {
    calls[kind.ordinal()]++;
  }

  /** Interrupts to the processors of two bitmaps, the first bit of which is {@code first}. */
  private long send(long low, long high, int first, int command, boolean wide) {
    int width = wide ? LONG_MODE_TARGETS : 32;
    long sent = 0;
    for (int i = 0; i < 2 * width; i++) {
      long word = i < width ? low : high;
      if ((word >>> i % width & 1) != 0 && others.send(first + i, command)) {
        sent++;
      }
    }
    return sent;
  }

  /** {@code kvm_clock_pairing}: wall-clock time and the counter at the same moment. */
  private long pairClocks(long address, long type) {
    if (type != 0) {
      return KvmInterface.NOT_SUPPORTED;
    }
    if (!board.memory().isRam(address, PAIRING_BYTES)) {
      return KvmInterface.BAD_ADDRESS;
    }
    long now = board.nowNanos();
    long wall = board.wallOriginNanos() + now;
    board.memory().fill(address, PAIRING_BYTES, (byte) 0);
    board.memory().putLong(address, Math.floorDiv(wall, NANOS));
    board.memory().putLong(address + 8, Math.floorMod(wall, NANOS));
    board.memory().putLong(address + 16, scaled(now + state.tscOffset));
    board.memory().announceWrite(address, PAIRING_BYTES);
    return 0;
  }
}
