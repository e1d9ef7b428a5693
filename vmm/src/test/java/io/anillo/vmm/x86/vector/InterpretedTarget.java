package io.anillo.vmm.x86.vector;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.ES;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.GS;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;

import io.anillo.vmm.cpu.CpuFeature;
import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.Exit;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.cpu.VirtualCpu;
import io.anillo.vmm.kvm.KvmCpu;
import io.anillo.vmm.kvm.KvmException;
import io.anillo.vmm.kvm.KvmVirtualMachine;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import io.anillo.vmm.x86.translate.Translator;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The interpreter in 64-bit mode with paging, in ring 3: a small machine whose 256 exceptions each
 * lead to a HLT in ring 0, where the frame on the stack tells what happened.
 */
final class InterpretedTarget implements VectorTarget, AutoCloseable {
  private static final long SYSTEM = 0xFFFF_8000_0000_0000L;
  private static final int TABLES = 0x1_0000,
      CODE_PHYSICAL = 0x10_0000,
      DATA_PHYSICAL = 0x20_0000,
      SYSTEM_PHYSICAL = 0x30_0000;
  private static final int GDT = 0, LDT = 0x400, TSS = 0x800, IDT = 0x1000, HANDLERS = 0x2000;
  private static final int STACK_TOP = 0x8000;
  private static final int HANDLER_BYTES = 16;
  private static final long USER_PAGE = 7, NO_EXECUTE = 1L << 63;

  private static final int PATIENCE_MILLIS = 300;
  private static final ScheduledExecutorService TIMER =
      Executors.newSingleThreadScheduledExecutor(Thread.ofPlatform().daemon().factory());

  private final GuestMemory memory;
  private final VirtualCpu cpu;
  private final @Nullable KvmVirtualMachine hardware;
  private final CpuState state;
  private int tableEnd = TABLES + 0x1000;
  private byte[] image = new byte[VectorLayout.DATA_BYTES];
  private final byte[] breakpoints = new byte[VectorLayout.CODE_BYTES];
  private final byte[] data = new byte[VectorLayout.DATA_BYTES];

  InterpretedTarget() {
    this(Code.INTERPRETED);
  }

  /** How the code runs; what is translated is so before it runs. */
  enum Code {
    INTERPRETED,
    TRANSLATED,
    /** Translated so that it calculates with denormal numbers and NaNs itself. */
    TRANSLATED_FOR_UNUSUAL_VALUES
  }

  InterpretedTarget(Code code) {
    memory = new GuestMemory(1 << 22);
    CodeCache codeCache = new CodeCache(memory);
    InterpretedCpu software =
        new InterpretedCpu(
            0,
            memory,
            new EmptyBus(),
            codeCache,
            CpuModel.anilloV2(1),
            () -> 0,
            bytes -> Arrays.fill(bytes, (byte) 0x5A));
    software.connect(new EmptyBus(), new NoInterrupts());
    cpu = software;
    state = cpu.state();
    hardware = null;
    if (code != Code.INTERPRETED) {
      Translator translator = Translator.immediate(memory, codeCache, 1);
      if (code == Code.TRANSLATED_FOR_UNUSUAL_VALUES) {
        translator.expectUnusualValues();
      }
      software.setHotCode(translator, 0);
    }
    prepare();
  }

  /** On the hardware, through KVM. */
  static InterpretedTarget onHardware() throws KvmException {
    return new InterpretedTarget(new GuestMemory(1 << 22));
  }

  private InterpretedTarget(GuestMemory onHardware) throws KvmException {
    KvmVirtualMachine kvm = KvmVirtualMachine.open(onHardware);
    memory = onHardware;
    hardware = kvm;
    cpu =
        new KvmCpu(
            0,
            kvm,
            KvmCpu.modelFor(CpuModel.anilloV2(1), kvm),
            () -> 0,
            new EmptyBus(),
            new NoInterrupts(),
            new ExitCounters());
    state = cpu.state();
    prepare();
  }

  private void prepare() {
    Arrays.fill(breakpoints, (byte) 0xCC);
    for (int at = 0; at < VectorLayout.CODE_BYTES; at += 4096) {
      map(VectorLayout.CODE + at, CODE_PHYSICAL + at | USER_PAGE);
    }
    for (int at = 0; at < VectorLayout.DATA_BYTES; at += 4096) {
      boolean writable = at < VectorLayout.WRITABLE_BYTES;
      long flags = (writable ? USER_PAGE : USER_PAGE & ~2) | NO_EXECUTE;
      map(VectorLayout.DATA + at, DATA_PHYSICAL + at | flags);
      if (writable) {
        map(VectorLayout.DATA_ALIAS + at, DATA_PHYSICAL + at | flags);
      }
    }
    for (int at = 0; at < STACK_TOP; at += 4096) {
      map(SYSTEM + at, SYSTEM_PHYSICAL + at | 3);
    }
    makeTables();
  }

  private void map(long linear, long entry) {
    long table = TABLES;
    for (int shift = 39; shift > 12; shift -= 9) {
      long at = table + ((linear >>> shift & 511) << 3);
      if (memory.getLong(at) == 0) {
        memory.putLong(at, tableEnd | USER_PAGE);
        tableEnd += 4096;
      }
      table = memory.getLong(at) & 0xF_FFFF_F000L;
    }
    memory.putLong(table + ((linear >>> 12 & 511) << 3), entry);
  }

  private void makeTables() {
    long[] descriptors = {
      0,
      0x00CF_9B00_0000_FFFFL,
      0x00AF_9B00_0000_FFFFL,
      0x00CF_9300_0000_FFFFL,
      0x00CF_FB00_0000_FFFFL,
      0x00CF_F300_0000_FFFFL,
      0x00AF_FB00_0000_FFFFL,
    };
    for (int i = 0; i < descriptors.length; i++) {
      memory.putLong(SYSTEM_PHYSICAL + GDT + i * 8, descriptors[i]);
    }
    for (int i = 0; i < VectorLayout.LOCAL.length; i++) {
      memory.putLong(SYSTEM_PHYSICAL + LDT + i * 8, VectorLayout.LOCAL[i].descriptor());
    }
    memory.putLong(SYSTEM_PHYSICAL + TSS + 4, SYSTEM + STACK_TOP);
    memory.putShort(SYSTEM_PHYSICAL + TSS + 0x66, (short) 0x68);
    for (int vector = 0; vector < 256; vector++) {
      long handler = SYSTEM + HANDLERS + vector * HANDLER_BYTES;
      int privilege = vector == 3 || vector == 4 ? 3 : 0;
      long gate = SYSTEM_PHYSICAL + IDT + vector * 16;
      memory.putLong(
          gate,
          handler & 0xFFFF
              | 0x10L << 16
              | (0x8E00L | privilege << 13) << 32
              | (handler >>> 16 & 0xFFFF) << 48);
      memory.putLong(gate + 8, handler >>> 32);
      memory.putByte(SYSTEM_PHYSICAL + HANDLERS + vector * HANDLER_BYTES, (byte) 0xF4);
    }
  }

  @Override
  public void useImage(byte[] newImage) {
    image = newImage;
  }

  @Override
  public VectorOutcome run(VectorCase c) {
    memory.write(DATA_PHYSICAL, image, 0, image.length);
    memory.dmaWrite(CODE_PHYSICAL, breakpoints, 0, breakpoints.length);
    long start = CODE_PHYSICAL + c.rip + c.segments().codeBase() - VectorLayout.CODE;
    int length = (int) Math.min(c.code.length, CODE_PHYSICAL + VectorLayout.CODE_BYTES - start);
    memory.dmaWrite(start, c.code, 0, length);
    enter(c);
    long before = state.instructions;
    Exit exit = run();
    cpu.state();
    VectorOutcome outcome = new VectorOutcome();
    System.arraycopy(state.general, 0, outcome.general, 0, 16);
    outcome.fsBase = state.segmentBase[FS];
    outcome.gsBase = state.segmentBase[GS];
    outcome.cr2 = state.cr2;
    outcome.floating = FloatingImage.of(state);
    memory.read(DATA_PHYSICAL, data, 0, data.length);
    ByteBuffer now = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer old = ByteBuffer.wrap(image).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 0; at < data.length; at += 8) {
      if (now.getLong(at) != old.getLong(at)) {
        outcome.changes.put(at, now.getLong(at));
      }
    }
    if (!(exit instanceof Exit.Halted)) {
      boolean kicked = hardware != null && exit instanceof Exit.Interrupted;
      if (!kicked && (!(exit instanceof Exit.Deadline) || state.instructions - before < 100_000)) {
        throw new IllegalStateException("run returned " + exit);
      }
      outcome.vector = VectorOutcome.TIMED_OUT;
      return outcome;
    }
    readFrame(outcome);
    return outcome;
  }

  /** Hardware keeps no budget: cases that do not end are kicked. */
  private Exit run() {
    if (hardware == null) {
      return cpu.run(100_000);
    }
    var kick = TIMER.schedule(cpu::kick, PATIENCE_MILLIS, TimeUnit.MILLISECONDS);
    try {
      return cpu.run(Long.MAX_VALUE);
    } finally {
      kick.cancel(false);
    }
  }

  private void readFrame(VectorOutcome outcome) {
    outcome.vector = (int) (state.rip - 1 - SYSTEM - HANDLERS) / HANDLER_BYTES;
    long top = SYSTEM_PHYSICAL + state.general[CpuState.RSP] - SYSTEM;
    if (io.anillo.vmm.x86.execute.GuestFault.pushesErrorCode(outcome.vector)) {
      outcome.error = memory.getLong(top);
      top += 8;
    }
    outcome.rip = memory.getLong(top);
    outcome.cs = (int) memory.getLong(top + 8);
    outcome.flags = memory.getLong(top + 16);
    outcome.general[CpuState.RSP] = memory.getLong(top + 24);
    outcome.ss = (int) memory.getLong(top + 32);
  }

  private void enter(VectorCase c) {
    state.cr0 =
        CpuState.CR0_PE
            | CpuState.CR0_MP
            | CpuState.CR0_ET
            | CpuState.CR0_NE
            | CpuState.CR0_WP
            | CpuState.CR0_AM
            | CpuState.CR0_PG;
    state.cr3 = TABLES;
    state.cr4 =
        CpuState.CR4_PAE
            | CpuState.CR4_PGE
            | CpuState.CR4_OSFXSR
            | CpuState.CR4_OSXMMEXCPT
            | CpuState.CR4_FSGSBASE
            | CpuState.CR4_OSXSAVE
            | CpuState.CR4_UMIP
            | CpuState.CR4_SMEP
            | CpuState.CR4_SMAP;
    if (hardware != null && hardware.missingFeatures().contains(CpuFeature.UMIP)) {
      state.cr4 &= ~CpuState.CR4_UMIP;
    }
    state.efer = CpuState.EFER_SCE | CpuState.EFER_LME | CpuState.EFER_LMA | CpuState.EFER_NXE;
    state.xcr0 = 3;
    state.gdtBase = SYSTEM + GDT;
    state.gdtLimit = 0x7F;
    state.idtBase = SYSTEM + IDT;
    state.idtLimit = 0xFFF;
    segment(TR, 0x40, SYSTEM + TSS, 0x67, 0x8B);
    segment(LDTR, 0x50, SYSTEM + LDT, VectorLayout.LOCAL.length * 8 - 1, 0x82);
    VectorLayout.Setup setup = c.segments();
    user(CS, setup.cs());
    user(SS, setup.ss());
    user(DS, setup.data());
    user(ES, setup.data());
    user(FS, setup.fs());
    user(GS, setup.gs());
    if (setup.code64()) {
      state.segmentBase[FS] = VectorLayout.FS_BASE;
      state.segmentBase[GS] = VectorLayout.GS_BASE;
    }
    state.privilege = 3;
    System.arraycopy(c.general, 0, state.general, 0, 16);
    state.rip = c.rip;
    state.setRflags(c.flags);
    state.cr2 = 0;
    state.halted = false;
    state.interruptShadow = false;
    state.stackShadow = false;
    state.pendingDebug = 0;
    state.debug[6] = 0xFFFF_0FF0L;
    state.debug[7] = 0x400;
    FloatingImage.load(state, c.floating);
    cpu.stateReplaced();
  }

  private void user(int register, int selector) {
    if (selector == 0) {
      segment(register, 0, 0, 0, CpuState.ACCESS_UNUSABLE);
      return;
    }
    if ((selector & 4) != 0) {
      VectorLayout.Segment local = VectorLayout.LOCAL[selector >> 3];
      int access = local.type() | (local.big() ? CpuState.ACCESS_BIG : 0);
      segment(register, selector, local.base(), local.limit(), access);
      return;
    }
    int access =
        switch (selector) {
          case 0x23 -> 0xC0FB;
          case 0x2B -> 0xC0F3;
          default -> 0xA0FB;
        };
    segment(register, selector, 0, 0xFFFF_FFFFL, access);
  }

  private void segment(int register, int selector, long base, long limit, int access) {
    state.segmentSelector[register] = selector;
    state.segmentBase[register] = base;
    state.segmentLimit[register] = limit;
    state.segmentAccess[register] = access;
  }

  @Override
  public void close() {
    if (cpu instanceof KvmCpu kvm && hardware != null) {
      kvm.close();
      hardware.close();
    }
    memory.close();
  }
}
