package io.anillo.vmm.x86.execute;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.hypercall.ParavirtualProcessor;
import io.anillo.vmm.memory.GuestMemory;
import org.jspecify.annotations.Nullable;

/**
 * One processor in software, as the semantics of instructions see it: its state, its way to memory,
 * and how it raises exceptions. The interpreter and translated code both run on this.
 */
public abstract class Processor {
  public final CpuState state = new CpuState();

  /** {@link CpuState#general} of {@link #state}. */
  public final long[] general = state.general;

  public final GuestMemory memory;

  /** Where accesses outside memory go; set once, before the first instruction. */
  protected Bus bus;

  /** The paravirtual interface; null where the guest has none. Set once. */
  public @Nullable ParavirtualProcessor paravirtual;

  /** What this processor leaves guest code for; the board's once it is connected. */
  public ExitCounters exits = new ExitCounters();

  private final GuestFault fault = new GuestFault();

  protected Processor(GuestMemory memory, Bus bus) {
    this.memory = memory;
    this.bus = bus;
  }

  // ---- linear memory, at the current privilege

  /**
   * Loads from a linear address, zero-extended. Throws {@link GuestFault} for #PF, #GP (canonical),
   * #AC.
   */
  public abstract long load(long linear, int sizeBytes);

  public abstract void store(long linear, int sizeBytes, long value);

  /** Faults as {@link #store} would, without storing. */
  public abstract void probeWrite(long linear, int sizeBytes);

  // ---- linear memory, as the processor's own accesses to its tables: supervisor at
  // any privilege (implicit supervisor accesses, Intel SDM vol. 3A §4.6)

  public abstract long loadSystem(long linear, int sizeBytes);

  public abstract void storeSystem(long linear, int sizeBytes, long value);

  /** Faults as {@link #storeSystem} would, without storing. */
  public abstract void probeSystemWrite(long linear, int sizeBytes);

  // ---- what must be told when state changes that caches depend on

  /**
   * CR0, CR3, CR4, EFER, PDPTEs changed in a way that invalidates all translations but global ones.
   */
  public abstract void flushTlb(boolean globalToo);

  /**
   * Privilege, code segment, flags such as TF, VM or AC, or a mode bit changed. Call after every
   * such change.
   */
  public abstract void modeChanged();

  /**
   * CR3 was loaded: another address space, or another PCID.
   *
   * @param keepTranslations bit 63 of the source with CR4.PCIDE: cached translations of the new
   *     PCID stay valid. Otherwise those of the new PCID (of all, without CR4.PCIDE) are dropped,
   *     but for global ones.
   */
  public abstract void addressSpaceChanged(boolean keepTranslations);

  /** INVLPG: drops the translations of one page in the current address space, global ones too. */
  public abstract void invalidatePage(long linear);

  /**
   * INVPCID, its descriptor already checked (Intel SDM vol. 2A, INVPCID).
   *
   * @param type 0: one address of one PCID; 1: one PCID; 2: all, global ones too; 3: all but global
   *     ones
   */
  public abstract void invalidatePcid(int type, int pcid, long linear);

  // ---- what else privileged instructions reach

  /** Loads from guest-physical memory, as page walks do: for the PDPTEs of PAE paging. */
  public abstract long loadPhysical(long physical, int sizeBytes);

  /** What RDTSC gives: the board's time stamp with {@link CpuState#tscOffset} added. */
  public abstract long timeStampCounter();

  public abstract LocalInterrupts localInterrupts();

  public abstract CpuModel model();

  // ---- exceptions

  /**
   * Makes the exception to be thrown: {@code throw processor.fault(GuestFault.PAGE_FAULT, code)}.
   */
  public final GuestFault fault(int vector, int errorCode) {
    fault.vector = vector;
    fault.errorCode = errorCode;
    return fault;
  }

  public final GuestFault invalidOpcode() {
    return fault(GuestFault.INVALID_OPCODE, 0);
  }

  public final GuestFault generalProtection(int errorCode) {
    return fault(GuestFault.GENERAL_PROTECTION, errorCode);
  }

  public final GuestFault stackFault(int errorCode) {
    return fault(GuestFault.STACK_FAULT, errorCode);
  }

  public final GuestFault invalidTss(int errorCode) {
    return fault(GuestFault.INVALID_TSS, errorCode);
  }

  public final GuestFault notPresent(int errorCode) {
    return fault(GuestFault.SEGMENT_NOT_PRESENT, errorCode);
  }
}
