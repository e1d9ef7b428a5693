package io.anillo.vmm.machine;

import io.anillo.vmm.cpu.LocalInterrupts;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/** A whole board without engines, its clock moved by hand. */
public final class TestMachine implements AutoCloseable {
  public final TestBoard base = new TestBoard();
  public final List<RecordedSignals> signals = new ArrayList<>();
  public final ByteArrayOutputStream console = new ByteArrayOutputStream();
  public final long[] tscOffset = new long[1];
  public final MachineBoard board;

  public TestMachine(int cpus) {
    List<LongSupplier> offsets = new ArrayList<>();
    for (int i = 0; i < cpus; i++) {
      signals.add(new RecordedSignals());
      offsets.add(() -> tscOffset[0]);
    }
    BoardConfig config =
        BoardConfig.of(cpus)
            .withCom1(new CaptureBackend(console))
            .withDebugConsole(new CaptureBackend(console));
    board = new MachineBoard(base.board, config.withDebugExit(0xF4), signals, offsets);
    board.reset();
  }

  public int in(int port) {
    return board.busOf(0).readPort(port, 1);
  }

  public void out(int port, int value) {
    board.busOf(0).writePort(port, 1, value);
  }

  public int apic(int cpu, int offset) {
    return (int) board.busOf(cpu).readMmio(0xFEE00000L + offset, 4);
  }

  public void apic(int cpu, int offset, int value) {
    board.busOf(cpu).writeMmio(0xFEE00000L + offset, 4, value & 0xFFFFFFFFL);
  }

  public void ioApic(int register, int value) {
    board.busOf(0).writeMmio(0xFEC00000L, 4, register);
    board.busOf(0).writeMmio(0xFEC00010L, 4, value & 0xFFFFFFFFL);
  }

  public int ioApic(int register) {
    board.busOf(0).writeMmio(0xFEC00000L, 4, register);
    return (int) board.busOf(0).readMmio(0xFEC00010L, 4);
  }

  public LocalInterrupts interrupts(int cpu) {
    return board.interruptsOf(cpu);
  }

  /** Takes an interrupt as the processor does; -1 when none waits. */
  public int take(int cpu) {
    return interrupts(cpu).pending() ? interrupts(cpu).acknowledge() : -1;
  }

  public void advance(long nanos) {
    base.advance(nanos);
  }

  @Override
  public void close() {
    base.close();
  }
}
