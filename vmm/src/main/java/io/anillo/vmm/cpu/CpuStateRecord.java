package io.anillo.vmm.cpu;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.Arrays;

/**
 * The saved form of a {@link CpuState}: every field but {@link CpuState#BLOCK_RIP} and the two
 * entries that always read zero. Flags are saved as RFLAGS, so that two states that a guest cannot
 * tell apart have the same record.
 */
public final class CpuStateRecord {
  private static final String NAME = "cpu";
  private static final int VERSION = 2;
  private static final int GENERAL_REGISTERS = 16;

  private CpuStateRecord() {}

  /** Writes a state that no engine is changing. */
  public static void save(CpuState state, StateWriter out) {
    out.record(NAME, VERSION);
    out.putLongs(Arrays.copyOf(state.general, GENERAL_REGISTERS));
    out.putLong(state.rip).putInt(state.rflags());
    out.putInts(state.segmentSelector);
    out.putLongs(Arrays.copyOf(state.segmentBase, CpuState.NO_SEGMENT));
    out.putLongs(state.segmentLimit).putInts(state.segmentAccess);
    out.putInt(state.privilege);
    out.putLong(state.gdtBase).putInt(state.gdtLimit).putLong(state.idtBase).putInt(state.idtLimit);
    out.putLong(state.cr0).putLong(state.cr2).putLong(state.cr3).putLong(state.cr4);
    out.putLong(state.efer).putLong(state.xcr0);
    out.putLongs(state.debug).putLongs(state.pdptes);
    out.putLong(state.star).putLong(state.lstar).putLong(state.cstar).putLong(state.syscallMask);
    out.putLong(state.kernelGsBase);
    out.putLong(state.sysenterCs).putLong(state.sysenterEsp).putLong(state.sysenterEip);
    out.putLong(state.pat).putLong(state.tscAux).putLong(state.tscOffset).putLong(state.tscAdjust);
    out.putLong(state.miscEnable).putLongs(state.mtrr);
    out.putLongs(state.xmm).putInt(state.mxcsr);
    out.putLongs(state.x87Significand).putInts(state.x87SignExponent);
    out.putInt(state.x87Control).putInt(state.x87Status).putInt(state.x87Top);
    out.putInt(state.x87Valid).putInt(state.x87Opcode);
    out.putLong(state.x87InstructionPointer).putLong(state.x87DataPointer);
    out.putInt(state.x87InstructionSelector).putInt(state.x87DataSelector);
    out.putBoolean(state.interruptShadow).putBoolean(state.stackShadow);
    out.putBoolean(state.nmiBlocked).putBoolean(state.nmiPending);
    out.putLong(state.pendingDebug);
    out.putBoolean(state.halted).putBoolean(state.waitingForStartup);
    out.putLong(state.instructions);
    state.paravirtual.save(out);
  }

  /**
   * Takes back what {@link #save} wrote. The engine is to be told that its state was replaced.
   *
   * @throws io.anillo.vmm.state.StateException when the record is damaged or of a newer version
   */
  public static void restore(CpuState state, StateReader in) {
    int version = in.record(NAME, VERSION);
    long[] general = new long[GENERAL_REGISTERS];
    in.getLongs(general);
    System.arraycopy(general, 0, state.general, 0, GENERAL_REGISTERS);
    state.rip = in.getLong();
    state.setRflags(in.getInt());
    in.getInts(state.segmentSelector);
    long[] bases = new long[CpuState.NO_SEGMENT];
    in.getLongs(bases);
    System.arraycopy(bases, 0, state.segmentBase, 0, CpuState.NO_SEGMENT);
    in.getLongs(state.segmentLimit);
    in.getInts(state.segmentAccess);
    state.privilege = in.getInt();
    state.gdtBase = in.getLong();
    state.gdtLimit = in.getInt();
    state.idtBase = in.getLong();
    state.idtLimit = in.getInt();
    state.cr0 = in.getLong();
    state.cr2 = in.getLong();
    state.cr3 = in.getLong();
    state.cr4 = in.getLong();
    state.efer = in.getLong();
    state.xcr0 = in.getLong();
    in.getLongs(state.debug);
    in.getLongs(state.pdptes);
    state.star = in.getLong();
    state.lstar = in.getLong();
    state.cstar = in.getLong();
    state.syscallMask = in.getLong();
    state.kernelGsBase = in.getLong();
    state.sysenterCs = in.getLong();
    state.sysenterEsp = in.getLong();
    state.sysenterEip = in.getLong();
    state.pat = in.getLong();
    state.tscAux = in.getLong();
    state.tscOffset = in.getLong();
    state.tscAdjust = in.getLong();
    state.miscEnable = in.getLong();
    in.getLongs(state.mtrr);
    in.getLongs(state.xmm);
    state.mxcsr = in.getInt();
    in.getLongs(state.x87Significand);
    in.getInts(state.x87SignExponent);
    state.x87Control = in.getInt();
    state.x87Status = in.getInt();
    state.x87Top = in.getInt();
    state.x87Valid = in.getInt();
    state.x87Opcode = in.getInt();
    state.x87InstructionPointer = in.getLong();
    state.x87DataPointer = in.getLong();
    state.x87InstructionSelector = in.getInt();
    state.x87DataSelector = in.getInt();
    state.interruptShadow = in.getBoolean();
    state.stackShadow = in.getBoolean();
    state.nmiBlocked = in.getBoolean();
    state.nmiPending = in.getBoolean();
    state.pendingDebug = in.getLong();
    state.halted = in.getBoolean();
    state.waitingForStartup = in.getBoolean();
    state.instructions = in.getLong();
    if (version >= 2) {
      state.paravirtual.restore(in);
    } else {
      state.paravirtual.reset();
    }
  }
}
