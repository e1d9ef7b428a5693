package io.anillo.vmm.kvm;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.hypercall.KvmInterface;
import io.anillo.vmm.memory.GuestMemory;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Finds out whether KVM really runs a guest's code here, and how fast: some hosts offer {@code
 * /dev/kvm} without hardware underneath, and carry out kernel code in software, at about a million
 * instructions a second.
 */
public final class KvmProbe {
  /** Hardware makes more than a thousand million; what is below this does not. */
  public static final long FAST_INSTRUCTIONS_PER_SECOND = 100_000_000;

  private static final int CODE = 0x1000;
  private static final int ROUNDS = 25_000;

  /** mov ecx, ROUNDS; again: dec ecx; jnz again; hlt, in 16-bit code. */
  private static final String LOOP = "66b9a8610000 6649 75fc f4";

  /** inc byte [WRITTEN]; out 0x80, al; again: jmp again, in 16-bit code. */
  private static final String WRITE = "fe060020 e680 ebfe";

  /** mov eax, 77; vmmcall; mov [WRITTEN], eax; out 0x80, al; again: jmp again, in 16-bit code. */
  private static final String CALL = "66b84d000000 0f01d9 66a30020 e680 ebfe";

  private static final int WRITTEN = 0x2000;

  private static final long PATIENCE_NANOS = 10_000_000_000L, SHORT_PATIENCE_NANOS = 1_000_000_000;
  private static final int CALL_TRIES = 2;

  /**
   * What was found.
   *
   * @param fast whether guests run at the hardware's speed
   * @param instructionsPerSecond of kernel code, 0 where it does not run
   * @param sentence the same for a person, without a full stop
   */
  public record Result(boolean fast, long instructionsPerSecond, String sentence) {}

  private KvmProbe() {}

  /** Runs a loop of kernel code; takes less than half a second. */
  public static Result measure() {
    return measure(HostSystem::new);
  }

  /**
   * As {@link #measure()}.
   *
   * @param host makes the calls of a thread
   */
  public static Result measure(Supplier<HostSystem> host) {
    GuestMemory memory = new GuestMemory(1 << 20);
    try (KvmVirtualMachine machine = KvmVirtualMachine.open(memory, host)) {
      try (KvmCpu cpu = processor(machine, new Nothing())) {
        put(memory, LOOP);
        return measure(cpu);
      }
    } catch (KvmException e) {
      return new Result(false, 0, String.valueOf(e.getMessage()));
    } catch (IllegalStateException e) {
      return new Result(false, 0, "KVM does not run guest code here: " + e.getMessage());
    } finally {
      memory.close();
    }
  }

  /** Why this host's kernel cannot have local APICs, without a full stop; empty where it can. */
  public static Optional<String> whyNoLocalApics(Supplier<HostSystem> host) {
    try {
      return carriedRun(host, WRITE, PATIENCE_NANOS) != 0
          ? Optional.empty()
          : Optional.of("a guest does not get on with them here");
    } catch (KvmException | IllegalStateException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /**
   * Whether a hypercall is answered by this host's kernel where it has the local APICs: a KVM that
   * emulates kernel code may carry out the call's instruction for ever. Takes seconds then.
   */
  public static boolean answersCalls() {
    try {
      boolean answered = false;
      // More than once, since a host that is late does not answer in time either.
      for (int i = 0; i < CALL_TRIES && !answered; i++) {
        answered =
            carriedRun(HostSystem::new, CALL, SHORT_PATIENCE_NANOS) == KvmInterface.NO_SUCH_CALL;
      }
      return answered;
    } catch (KvmException | IllegalStateException e) {
      return false;
    }
  }

  /** What a program that ends with a write to a port has left at {@link #WRITTEN}. */
  private static int carriedRun(Supplier<HostSystem> host, String program, long patienceNanos)
      throws KvmException {
    GuestMemory memory = new GuestMemory(1 << 20);
    try (KvmVirtualMachine machine = KvmVirtualMachine.open(memory, host)) {
      machine.carryLocalApics();
      machine.hearDoorbells(Runnable::run).close();
      KvmCpu[] processor = new KvmCpu[1];
      try (KvmCpu cpu =
          processor(
              machine,
              new Nothing() {
                @Override
                public void writePort(int port, int sizeBytes, int value) {
                  // HLT is no exit where the kernel has the local APIC.
                  processor[0].kick();
                }
              })) {
        processor[0] = cpu;
        put(memory, program);
        return runs(cpu, patienceNanos) instanceof Exit.Interrupted ? memory.getInt(WRITTEN) : 0;
      }
    } finally {
      memory.close();
    }
  }

  private static KvmCpu processor(KvmVirtualMachine machine, Bus bus) throws KvmException {
    return new KvmCpu(
        0,
        machine,
        KvmCpu.modelFor(CpuModel.anilloV2(1), machine),
        () -> 0,
        bus,
        new NoInterrupts(),
        new ExitCounters());
  }

  private static void put(GuestMemory memory, String program) {
    byte[] code = HexFormat.of().parseHex(program.replace(" ", ""));
    memory.write(CODE, code, 0, code.length);
  }

  /** Runs the program, if need be for as long as patience lasts. */
  private static Exit runs(KvmCpu cpu, long patienceNanos) {
    CpuState state = cpu.state();
    state.segmentBase[CpuState.CS] = 0;
    state.segmentSelector[CpuState.CS] = 0;
    state.rip = CODE;
    state.halted = false;
    cpu.stateReplaced();
    Thread kicker =
        Thread.ofVirtual()
            .start(() -> {
              try {
                Thread.sleep(patienceNanos / 1_000_000);
                cpu.kick();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    try {
      return cpu.run(Long.MAX_VALUE);
    } finally {
      kicker.interrupt();
      try {
        kicker.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static Result measure(KvmCpu cpu) {
    long best = Long.MAX_VALUE;
    // The first run pays for memory that is touched for the first time.
    for (int run = 0; run < 3; run++) {
      long start = System.nanoTime();
      Exit exit = runs(cpu, PATIENCE_NANOS);
      long nanos = System.nanoTime() - start;
      if (!(exit instanceof Exit.Halted)) {
        return new Result(false, 0, "KVM does not come to the end of a small loop here");
      }
      best = Math.min(best, nanos);
    }
    long rate = 2L * ROUNDS * 1_000_000_000 / best;
    if (rate >= FAST_INSTRUCTIONS_PER_SECOND) {
      return new Result(true, rate, "KVM runs guests at the hardware's speed");
    }
    return new Result(
        false,
        rate,
        String.format(
            Locale.ROOT,
            "KVM emulates kernel code here, at %.1f million instructions a second",
            rate / 1e6));
  }

  /** No controller. */
  static class NoInterrupts implements LocalInterrupts {
    private static final long ENABLED_BASE = 0xFEE0_0900L;

    @Override
    public boolean pending() {
      return false;
    }

    @Override
    public int acknowledge() {
      return -1;
    }

    @Override
    public int taskPriorityClass() {
      return 0;
    }

    @Override
    public void setTaskPriorityClass(int priorityClass) {}

    @Override
    public long readMsr(int index) {
      return ENABLED_BASE;
    }

    @Override
    public void writeMsr(int index, long value) {}

    @Override
    public long heldDeadlineTsc() {
      return 0;
    }

    @Override
    public Besides putRegisters(MemorySegment page) {
      page.fill((byte) 0);
      return new Besides(0, 0, -1);
    }

    @Override
    public void initReset() {}
  }

  /** No devices. */
  private static class Nothing implements Bus {
    @Override
    public void mapPorts(int first, int count, PortDevice device) {}

    @Override
    public void unmapPorts(int first, int count) {}

    @Override
    public void mapMmio(long base, long sizeBytes, MmioDevice device) {}

    @Override
    public void unmapMmio(long base, long sizeBytes) {}

    @Override
    public int readPort(int port, int sizeBytes) {
      return -1;
    }

    @Override
    public void writePort(int port, int sizeBytes, int value) {}

    @Override
    public long readMmio(long address, int sizeBytes) {
      return -1;
    }

    @Override
    public void writeMmio(long address, int sizeBytes, long value) {}
  }
}
