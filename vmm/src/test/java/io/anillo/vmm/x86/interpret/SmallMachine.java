package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.memory.GuestMemory;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * A processor with 4 MiB of memory in which every exception ends at a HLT of its own: a GDT, an IDT
 * and page tables for all modes, memory mapped to itself. Ring 0 unless said otherwise.
 */
public final class SmallMachine implements AutoCloseable {
  public static final int CODE = 0x4000, DATA = 0x8_0000, STACK = 0x9_0000;
  public static final int GDT = 0x1000, IDT = 0x2000, HANDLERS = 0x3000, TSS = 0x1800;
  public static final int PML4 = 0x10_0000,
      PDPT = 0x10_1000,
      DIRECTORY = 0x10_2000,
      TABLE = 0x10_3000;
  public static final int DIRECTORY_32 = 0x10_4000, TABLE_32 = 0x10_5000;
  public static final long PRESENT = 1,
      WRITABLE = 2,
      USER = 4,
      ACCESSED = 32,
      DIRTY = 64,
      LARGE = 128;
  public static final long GLOBAL = 256, NO_EXECUTE = 1L << 63;
  private static final int CODE_32 = 0x08, DATA_32 = 0x10, CODE_64 = 0x18, CODE_16 = 0x20;
  private static final int DATA_16 = 0x28, USER_CODE_32 = 0x33, USER_DATA = 0x3B;
  private static final int USER_CODE_64 = 0x43, TSS_SELECTOR = 0x50;
  static final int HANDLER_BYTES = 4;

  public final GuestMemory memory = new GuestMemory(1 << 22);
  public final InterpretedCpu cpu;
  public final CpuState state;
  public final TestController controller = new TestController();

  public SmallMachine() {
    cpu =
        new InterpretedCpu(
            0,
            memory,
            new SilentBus(),
            new CodeCache(memory),
            CpuModel.anilloV2(1),
            () -> 0,
            bytes -> Arrays.fill(bytes, (byte) 1));
    cpu.connect(new SilentBus(), controller);
    state = cpu.state();
    reset();
  }

  /** Zeroes memory, makes the tables, and resets the processor. */
  public void reset() {
    cpu.dropCaches();
    memory.fill(0, 1 << 22, (byte) 0);
    memory.announceWrite(0, 1 << 22);
    cpu.reset();
    makeTables();
  }

  /** Makes the tables again that the guest may have overwritten. */
  public void makeTables() {
    descriptor(CODE_32, 0x00CF_9B00_0000_FFFFL);
    descriptor(DATA_32, 0x00CF_9300_0000_FFFFL);
    descriptor(CODE_64, 0x00AF_9B00_0000_FFFFL);
    descriptor(CODE_16, 0x008F_9B00_0000_FFFFL);
    descriptor(DATA_16, 0x008F_9300_0000_FFFFL);
    descriptor(USER_CODE_32, 0x00CF_FB00_0000_FFFFL);
    descriptor(USER_DATA, 0x00CF_F300_0000_FFFFL);
    descriptor(USER_CODE_64, 0x00AF_FB00_0000_FFFFL);
    for (int vector = 0; vector < 256; vector++) {
      memory.putByte(HANDLERS + vector * HANDLER_BYTES, (byte) 0xF4);
    }
    for (int page = 0; page < 1024; page++) {
      memory.putInt(TABLE_32 + page * 4, page << 12 | 7);
    }
    memory.putInt(DIRECTORY_32, TABLE_32 | 7);
    memory.putLong(PML4, PDPT | 7);
    memory.putLong(PDPT, DIRECTORY | 7);
    memory.putLong(DIRECTORY, TABLE | 7);
    memory.putLong(DIRECTORY + 8, 1 << 21 | LARGE | 7);
    for (int page = 0; page < 512; page++) {
      memory.putLong(TABLE + page * 8, (long) page << 12 | 7);
    }
    memory.announceWrite(0, 1 << 22);
  }

  private void descriptor(int selector, long value) {
    memory.putLong(GDT + (selector & ~7), value);
  }

  public void realMode() {
    for (int segment = 0; segment < 6; segment++) {
      segment(segment, CODE >> 4, CODE, 0xFFFF, 0x93);
    }
    state.rip = 0;
    state.idtBase = 0;
    state.idtLimit = 0x3FF;
    for (int vector = 0; vector < 256; vector++) {
      memory.putInt(vector * 4, HANDLERS + vector * HANDLER_BYTES);
    }
    state.general[CpuState.RSP] = 0xF000;
    cpu.stateReplaced();
  }

  public void protectedMode(boolean big) {
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_ET | CpuState.CR0_NE | CpuState.CR0_WP;
    state.cr4 = CpuState.CR4_OSFXSR | CpuState.CR4_OSXMMEXCPT;
    gates32();
    segment(CpuState.CS, big ? CODE_32 : CODE_16, 0, 0xFFFF_FFFFL, big ? 0xC09B : 0x809B);
    data(big ? DATA_32 : DATA_16, big ? 0xC093 : 0x8093);
    segment(CpuState.TR, TSS_SELECTOR, TSS, 0x67, 0x8B);
    state.gdtBase = GDT;
    state.gdtLimit = 0xFF;
    memory.putInt(TSS + 4, STACK);
    memory.putInt(TSS + 8, DATA_32);
    start();
  }

  public void paging32() {
    state.cr3 = DIRECTORY_32;
    state.cr4 |= CpuState.CR4_PSE;
    state.cr0 |= CpuState.CR0_PG;
    cpu.stateReplaced();
  }

  public void pagingPae() {
    state.cr3 = PDPT;
    state.cr4 |= CpuState.CR4_PAE;
    state.cr0 |= CpuState.CR0_PG;
    state.efer |= CpuState.EFER_NXE;
    // Without an upper level a PDPTE has no U/S and R/W bits.
    memory.putLong(PDPT, DIRECTORY | 1);
    state.pdptes[0] = DIRECTORY | 1;
    cpu.stateReplaced();
  }

  public void longMode(boolean code64) {
    state.cr0 =
        CpuState.CR0_PE | CpuState.CR0_ET | CpuState.CR0_NE | CpuState.CR0_WP | CpuState.CR0_PG;
    state.cr4 =
        CpuState.CR4_PAE
            | CpuState.CR4_PGE
            | CpuState.CR4_OSFXSR
            | CpuState.CR4_OSXMMEXCPT
            | CpuState.CR4_OSXSAVE
            | CpuState.CR4_FSGSBASE;
    state.xcr0 = 3;
    state.cr3 = PML4;
    state.efer = CpuState.EFER_LME | CpuState.EFER_LMA | CpuState.EFER_NXE | CpuState.EFER_SCE;
    for (int vector = 0; vector < 256; vector++) {
      long handler = HANDLERS + vector * HANDLER_BYTES;
      memory.putLong(IDT + vector * 16, handler | (long) CODE_64 << 16 | 0x8E00L << 32);
      memory.putLong(IDT + vector * 16 + 8, 0);
    }
    state.idtBase = IDT;
    state.idtLimit = 0xFFF;
    segment(CpuState.CS, code64 ? CODE_64 : CODE_32, 0, 0xFFFF_FFFFL, code64 ? 0xA09B : 0xC09B);
    data(DATA_32, 0xC093);
    segment(CpuState.TR, TSS_SELECTOR, TSS, 0x67, 0x8B);
    memory.putLong(TSS + 4, STACK);
    memory.putInt(TSS + 8, 0);
    state.gdtBase = GDT;
    state.gdtLimit = 0xFF;
    start();
  }

  /** Goes to ring 3 in the mode that was set up. */
  public void userMode() {
    boolean code64 = state.code64();
    int access = state.segmentAccess[CpuState.CS] | 0x60;
    segment(CpuState.CS, code64 ? USER_CODE_64 : USER_CODE_32, 0, 0xFFFF_FFFFL, access);
    data(USER_DATA, 0xC0F3);
    state.privilege = 3;
    cpu.stateReplaced();
  }

  private void start() {
    state.rip = CODE;
    state.general[CpuState.RSP] = STACK;
    cpu.stateReplaced();
  }

  private void gates32() {
    for (int vector = 0; vector < 256; vector++) {
      long handler = HANDLERS + vector * HANDLER_BYTES;
      memory.putLong(IDT + vector * 8, handler | (long) CODE_32 << 16 | 0x8E00L << 32);
    }
    state.idtBase = IDT;
    state.idtLimit = 0x7FF;
  }

  private void data(int selector, int access) {
    for (int register :
        new int[] {CpuState.ES, CpuState.SS, CpuState.DS, CpuState.FS, CpuState.GS}) {
      segment(register, selector, 0, 0xFFFF_FFFFL, access);
    }
  }

  private void segment(int register, int selector, long base, long limit, int access) {
    state.segmentSelector[register] = selector;
    state.segmentBase[register] = base;
    state.segmentLimit[register] = limit;
    state.segmentAccess[register] = access;
  }

  /** Puts code, in hexadecimal, at an address; a HLT follows. */
  public void code(int address, String hex) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", "") + "f4");
    memory.dmaWrite(address, bytes, 0, bytes.length);
  }

  public void runToHalt() {
    Exit exit = cpu.run(10_000);
    assertThat(exit).isInstanceOf(Exit.Halted.class);
  }

  /**
   * Whether the last exception taken was this one, at this address. Ring 0 frames of 32 or 64 bits.
   */
  public void assertFault(int vector, long rip) {
    assertThat((state.rip - 1 - HANDLERS) / (double) HANDLER_BYTES).isEqualTo(vector);
    boolean code = io.anillo.vmm.x86.execute.GuestFault.pushesErrorCode(vector);
    int width = state.longMode() ? 8 : 4;
    long frame = state.general[CpuState.RSP] + (code ? width : 0);
    assertThat(width == 8 ? memory.getLong(frame) : memory.getInt(frame) & 0xFFFF_FFFFL)
        .isEqualTo(rip);
  }

  /** The error code of the exception just taken. */
  public int errorCode() {
    return memory.getInt(state.general[CpuState.RSP]);
  }

  @Override
  public void close() {
    memory.close();
  }
}
