package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import java.util.function.LongSupplier;

/**
 * The time stamp counter that one processor's guest reads, kept to the board's clock, and the
 * deadlines that are values of it. Called by the processor's thread, or while it is stopped.
 */
final class KvmClock {
  private static final int MSR_TSC = 0x10, MSR_TSC_DEADLINE = 0x6E0;
  private static final long NANOS = 1_000_000_000;
  private static final int OFFSET_READINGS = 5;

  private final KvmVirtualMachine machine;
  private final long hertz;
  private final LongSupplier boardNanos;
  private final KvmStateTransfer transfer;
  private final CpuState state;
  private final LocalInterrupts interrupts;
  private final boolean setsOffset;
  private long moves;
  private long rawDeadline;

  KvmClock(
      KvmVirtualMachine machine,
      CpuModel model,
      LongSupplier boardNanos,
      KvmStateTransfer transfer,
      CpuState state,
      LocalInterrupts interrupts) {
    this.machine = machine;
    this.hertz = model.tscHertz();
    this.boardNanos = boardNanos;
    this.transfer = transfer;
    this.state = state;
    this.interrupts = interrupts;
    this.setsOffset = transfer.hasTimeStampOffset();
  }

  /** Virtual nanoseconds as ticks. */
  long ticks(long nanos) {
    return ParavirtualProcessor.ticks(nanos, hertz);
  }

  /** Ticks as virtual nanoseconds. */
  long nanos(long ticks) {
    return Math.floorDiv(ticks, hertz) * NANOS + Math.floorMod(ticks, hertz) * NANOS / hertz;
  }

  /** What the counter reads now. */
  long counter() {
    return ticks(boardNanos.getAsLong() + state.tscOffset);
  }

  /** The board's time was moved. */
  void moved() {
    moves++;
  }

  /** Has KVM count as the board's clock tells. */
  void put() {
    if (setsOffset) {
      long offset = machine.timeStamps().offset(moves, this::measureOffset);
      transfer.putTimeStampOffset(offset + ticks(state.tscOffset));
    } else {
      transfer.putModelRegister(MSR_TSC, counter());
    }
  }

  /** The offset at which the counter tells the board's time; of several readings the surest. */
  private long measureOffset() {
    long shortest = Long.MAX_VALUE;
    long offset = 0;
    for (int i = 0; i < OFFSET_READINGS; i++) {
      long before = boardNanos.getAsLong();
      long read = transfer.modelRegister(MSR_TSC);
      long took = boardNanos.getAsLong() - before;
      if (took < shortest) {
        shortest = took;
        offset = transfer.timeStampOffset() + ticks(before + took / 2) - read;
      }
    }
    return offset;
  }

  /** The nanoseconds that the counter has to be moved by to read a value now. */
  long distanceTo(long value) {
    return nanos(value) - state.tscOffset - boardNanos.getAsLong();
  }

  /** Moves the counter, as a guest that writes it wants. */
  void move(long nanos) {
    state.tscOffset += nanos;
    state.tscAdjust += nanos;
    put();
  }

  /** IA32_TSC_DEADLINE as the guest reads it. */
  long deadline() {
    return interrupts.readMsr(MSR_TSC_DEADLINE) == 0 ? 0 : rawDeadline;
  }

  /**
   * Sets the deadline of the board's local APIC's timer, which counts virtual nanoseconds. The
   * distance from now is what matters: hardware's counter and the board's clock drift apart by some
   * parts in a million.
   */
  void setDeadline(long value) {
    rawDeadline = value;
    if (value == 0) {
      interrupts.writeMsr(MSR_TSC_DEADLINE, 0);
      return;
    }
    long distance = value - transfer.modelRegister(MSR_TSC);
    long now = boardNanos.getAsLong() + state.tscOffset;
    interrupts.writeMsr(MSR_TSC_DEADLINE, Math.max(1, now + nanos(Math.max(0, distance))));
  }
}
