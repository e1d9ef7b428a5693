package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.x86.interpret.SmallMachine;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;

/**
 * What a message to a local APIC of the host's kernel costs its sender, as a call ({@code
 * KVM_SIGNAL_MSI}) and by a counter ({@code KVM_IRQFD}), turn by turn: to a processor that has the
 * interrupt waiting already, and to one that sleeps, until its handler has run.
 *
 * <p>A program, not a test: {@code [rounds] [messages a round]}.
 */
final class InterruptMessageCost {
  static final int VECTOR = 0x40;
  private static final int COUNTER = SmallMachine.DATA;
  private static final int HANDLER = SmallMachine.CODE + 0x100, APIC_DIRECTORY = 0x10_6000;
  private static final long APIC = 0xFEE0_0000L;

  private InterruptMessageCost() {}

  /** A local APIC that is switched on. */
  static final class SwitchedOn extends KvmProbe.NoInterrupts {
    @Override
    public Besides putRegisters(MemorySegment page) {
      Besides besides = super.putRegisters(page);
      page.set(ValueLayout.JAVA_INT, 0x30, 0x50014);
      page.set(ValueLayout.JAVA_INT, 0xE0, -1);
      page.set(ValueLayout.JAVA_INT, 0xF0, 0x1FF);
      for (int entry = 0x320; entry <= 0x370; entry += 0x10) {
        page.set(ValueLayout.JAVA_INT, entry, 0x10000);
      }
      return besides;
    }

    @Override
    public void takeRegisters(MemorySegment page, Besides besides) {}
  }

  /** Both ways to one processor. */
  static final class Target implements AutoCloseable {
    final SmallMachine small = new SmallMachine();
    final KvmVirtualMachine machine;
    final KvmCpu cpu;
    final KvmInterruptCarrier byCall;
    final KvmInterruptCarrier byCounter;
    private final Arena arena = Arena.ofShared();

    Target() throws KvmException {
      machine = KvmVirtualMachine.open(small.memory);
      machine.carryLocalApics();
      cpu =
          new KvmCpu(
              0,
              machine,
              KvmCpu.modelFor(CpuModel.anilloV2(1), machine),
              () -> 0,
              new NotedBus(),
              new SwitchedOn(),
              new ExitCounters());
      byCall = new KvmInterruptCarrier(new HostSystem(), machine.descriptor(), arena, false);
      byCounter = new KvmInterruptCarrier(new HostSystem(), machine.descriptor(), arena, true);
      small.longMode(true);
      // The local APIC's page, where it is.
      small.memory.putLong(SmallMachine.PDPT + 3 * 8, APIC_DIRECTORY | 7);
      small.memory.putLong(APIC_DIRECTORY + (APIC >>> 21 & 511) * 8, APIC | SmallMachine.LARGE | 7);
      // sti; again: hlt; jmp again
      small.code(SmallMachine.CODE, "fb f4 ebfd");
      // inc dword [COUNTER]; mov eax, 0xFEE000B0; mov dword [rax], 0; iretq
      small.code(HANDLER, "ff042500000800 b8b000e0fe c70000000000 48cf");
      small.memory.putLong(SmallMachine.IDT + VECTOR * 16L, 0x0000_8E00_0018_0000L | HANDLER);
      HardwareMachine.move(small.state, cpu.state());
      cpu.state().rip = SmallMachine.CODE;
      cpu.stateReplaced();
    }

    int handled() {
      return small.memory.getInt(COUNTER);
    }

    void send(KvmInterruptCarrier carrier) {
      carrier.send(0, false, 0, VECTOR, false);
    }

    @Override
    public void close() {
      byCounter.close();
      cpu.close();
      machine.close();
      small.close();
      arena.close();
    }
  }

  private static double nanosWaiting(Target target, KvmInterruptCarrier carrier, int count) {
    long start = System.nanoTime();
    for (int i = 0; i < count; i++) {
      target.send(carrier);
    }
    return (double) (System.nanoTime() - start) / count;
  }

  private static double nanosHandled(Target target, KvmInterruptCarrier carrier, int count) {
    int before = target.handled();
    long start = System.nanoTime();
    for (int i = 1; i <= count; i++) {
      target.send(carrier);
      while (target.handled() - before < i) {
        Thread.onSpinWait();
      }
    }
    return (double) (System.nanoTime() - start) / count;
  }

  private static void print(String what, double[] call, double[] counter) {
    Arrays.sort(call);
    Arrays.sort(counter);
    double one = call[call.length / 2];
    double other = counter[counter.length / 2];
    System.out.printf(
        Locale.ROOT,
        "%-45s call %8.0f ns (%.0f to %.0f), counter %8.0f ns (%.0f to %.0f): %.2f%n",
        what,
        one,
        call[0],
        call[call.length - 1],
        other,
        counter[0],
        counter[counter.length - 1],
        other / one);
  }

  public static void main(String[] arguments) throws Exception {
    int rounds = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 9;
    int messages = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 100_000;
    double[] call = new double[rounds];
    double[] counter = new double[rounds];
    try (Target target = new Target()) {
      nanosWaiting(target, target.byCall, messages);
      nanosWaiting(target, target.byCounter, messages);
      for (int round = 0; round < rounds; round++) {
        call[round] = nanosWaiting(target, target.byCall, messages);
        counter[round] = nanosWaiting(target, target.byCounter, messages);
      }
      print("the interrupt waits already", call, counter);
    }
    int handled = Math.max(1, messages / 50);
    try (Target target = new Target()) {
      Thread guest = Thread.ofPlatform().start(() -> target.cpu.run(Long.MAX_VALUE));
      target.send(target.byCall);
      nanosHandled(target, target.byCall, handled / 10);
      nanosHandled(target, target.byCounter, handled / 10);
      for (int round = 0; round < rounds; round++) {
        call[round] = nanosHandled(target, target.byCall, handled);
        counter[round] = nanosHandled(target, target.byCounter, handled);
      }
      print("a processor that sleeps, until it was handled", call, counter);
      target.cpu.kick();
      guest.join();
    }
  }
}
