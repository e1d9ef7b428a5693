package io.anillo.vmm.x86.mmu;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;

/**
 * A processor whose linear addresses go through TLBs and page tables to guest memory and to the
 * bus.
 *
 * <p>Hot class: {@code load8..64} and {@code store8..64} are inlined everywhere; watched by {@code
 * ./anillo bench guest}. The fast path is one comparison: the tag of a page equals the page of the
 * access's last byte exactly when the whole access lies in that page.
 */
public abstract class PagedProcessor extends Processor {
  private static final int SUPERVISOR_SMAP = 0, SUPERVISOR = 1, USER = 2, CHECKED = 3;

  /** DR7 bits that enable breakpoints, and R/W fields other than instruction execution. */
  private static final long DR7_ENABLED = 0xFF;

  private final Tlb[] tlbs;
  private final long[] entries;
  private final PageTableWalker walker;
  private CodeTracker codeTracker = (physical, size) -> {};

  /** Where the TLB for accesses at the current privilege begins; see {@link Tlb}. */
  private int base;

  /** Where that for system accesses begins. */
  private int systemBase;

  private int dataMode = SUPERVISOR;
  private boolean dataBreakpoints;

  /** Range covered by large pages since the last full flush; INVLPG inside it flushes all. */
  private long largeLow = Long.MAX_VALUE;

  private long largeHigh = Long.MIN_VALUE;

  /**
   * Set by a failed translation: the address was not canonical, which is #SS for stack accesses.
   */
  protected boolean canonicalFault;

  /**
   * @param index which processor of the machine it is
   */
  protected PagedProcessor(int index, GuestMemory memory, Bus bus, TlbArray array) {
    super(memory, bus);
    this.tlbs =
        new Tlb[] {
          array.tlb(index, SUPERVISOR_SMAP),
          array.tlb(index, SUPERVISOR),
          array.tlb(index, USER),
          array.tlb(index, CHECKED)
        };
    this.entries = array.entries();
    this.base = tlbs[SUPERVISOR].base;
    this.systemBase = base;
    this.walker = new PageTableWalker(state, memory, this::pageTableWritten);
  }

  protected final void setCodeTracker(CodeTracker tracker) {
    this.codeTracker = tracker;
  }

  // ---- loads at the current privilege

  public final byte load8(long linear) {
    int at = Tlb.index(linear) | base;
    if (entries[at] == (linear & -4096L)) {
      return memory.getByte(linear + entries[at + 2]);
    }
    return (byte) loadSlowly(linear, 1, dataMode);
  }

  public final short load16(long linear) {
    int at = Tlb.index(linear) | base;
    if (entries[at] == (linear + 1 & -4096L)) {
      return memory.getShort(linear + entries[at + 2]);
    }
    return (short) loadSlowly(linear, 2, dataMode);
  }

  public final int load32(long linear) {
    int at = Tlb.index(linear) | base;
    if (entries[at] == (linear + 3 & -4096L)) {
      return memory.getInt(linear + entries[at + 2]);
    }
    return (int) loadSlowly(linear, 4, dataMode);
  }

  public final long load64(long linear) {
    int at = Tlb.index(linear) | base;
    if (entries[at] == (linear + 7 & -4096L)) {
      return memory.getLong(linear + entries[at + 2]);
    }
    return loadSlowly(linear, 8, dataMode);
  }

  // ---- stores at the current privilege

  public final void store8(long linear, byte value) {
    int at = Tlb.index(linear) | base;
    if (entries[at + 1] == (linear & -4096L)) {
      memory.putByte(linear + entries[at + 2], value);
      return;
    }
    storeSlowly(linear, 1, value, dataMode);
  }

  public final void store16(long linear, short value) {
    int at = Tlb.index(linear) | base;
    if (entries[at + 1] == (linear + 1 & -4096L)) {
      memory.putShort(linear + entries[at + 2], value);
      return;
    }
    storeSlowly(linear, 2, value, dataMode);
  }

  public final void store32(long linear, int value) {
    int at = Tlb.index(linear) | base;
    if (entries[at + 1] == (linear + 3 & -4096L)) {
      memory.putInt(linear + entries[at + 2], value);
      return;
    }
    storeSlowly(linear, 4, value, dataMode);
  }

  public final void store64(long linear, long value) {
    int at = Tlb.index(linear) | base;
    if (entries[at + 1] == (linear + 7 & -4096L)) {
      memory.putLong(linear + entries[at + 2], value);
      return;
    }
    storeSlowly(linear, 8, value, dataMode);
  }

  @Override
  public final long load(long linear, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> load8(linear) & 0xFF;
      case 2 -> load16(linear) & 0xFFFF;
      case 4 -> load32(linear) & 0xFFFF_FFFFL;
      case 8 -> load64(linear);
      default -> loadPieces(linear, sizeBytes, dataMode);
    };
  }

  @Override
  public final void store(long linear, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> store8(linear, (byte) value);
      case 2 -> store16(linear, (short) value);
      case 4 -> store32(linear, (int) value);
      case 8 -> store64(linear, value);
      default -> throw new IllegalArgumentException("store of " + sizeBytes + " bytes");
    }
  }

  /** Loads what will be stored to the same place: faults as a store would. */
  public final long loadForUpdate(long linear, int sizeBytes) {
    int at = Tlb.index(linear) | base;
    if (entries[at + 1] != (linear + sizeBytes - 1 & -4096L)) {
      probe(linear, sizeBytes, dataMode);
    }
    return load(linear, sizeBytes);
  }

  @Override
  public final void probeWrite(long linear, int sizeBytes) {
    probe(linear, sizeBytes, dataMode);
  }

  // ---- system accesses

  @Override
  public final long loadSystem(long linear, int sizeBytes) {
    int at = Tlb.index(linear) | systemBase;
    if (entries[at] == (linear + sizeBytes - 1 & -4096L)) {
      long offset = linear + entries[at + 2];
      switch (sizeBytes) {
        case 2:
          return memory.getShort(offset) & 0xFFFF;
        case 4:
          return memory.getInt(offset) & 0xFFFF_FFFFL;
        case 8:
          return memory.getLong(offset);
        default:
          break;
      }
    }
    return loadSlowly(linear, sizeBytes, systemMode());
  }

  @Override
  public final void storeSystem(long linear, int sizeBytes, long value) {
    storeSlowly(linear, sizeBytes, value, systemMode());
  }

  @Override
  public final void probeSystemWrite(long linear, int sizeBytes) {
    probe(linear, sizeBytes, systemMode());
  }

  @Override
  public final long loadPhysical(long physical, int sizeBytes) {
    return readPhysical(physical, sizeBytes);
  }

  // ---- string instructions: whole pieces of pages

  /**
   * Where {@code length} bytes at a linear address lie in guest memory, if they lie in one page
   * that may be accessed without anyone being told.
   *
   * @return the offset, or -1 when the fast path cannot be used
   */
  public final long directOffset(long linear, int length, boolean write) {
    int at = Tlb.index(linear) | base;
    if (entries[write ? at + 1 : at] == (linear + length - 1 & -4096L)) {
      return linear + entries[at + 2];
    }
    return -1;
  }

  // ---- for translated code

  /** Where the TLB of the current privilege and flags begins in the machine's {@link TlbArray}. */
  public final int tlbBase() {
    return base;
  }

  // ---- atomic accesses

  /**
   * Compare-and-set at the current privilege; the access is a write, whatever its outcome.
   *
   * @return whether the value was {@code expected} and is now {@code value}
   */
  public final boolean compareAndSet(long linear, int sizeBytes, long expected, long value) {
    if (pageCrossing(linear, sizeBytes)) {
      return compareAndSetExclusively(linear, sizeBytes, expected, value);
    }
    int mode = dataMode == CHECKED ? checkedAccess(linear, sizeBytes, true) : dataMode;
    long physical = translate(linear, true, false, mode);
    int attributes = memory.attributes(physical);
    if ((attributes & GuestMemory.RAM) == 0) {
      long found = readPhysical(physical, sizeBytes);
      if (found == (expected & mask(sizeBytes))) {
        writePhysical(physical, sizeBytes, value);
        return true;
      }
      return false;
    }
    if ((physical & 7) + sizeBytes > 8) {
      return compareAndSetExclusively(linear, sizeBytes, expected, value);
    }
    boolean done = compareAndSetPhysical(physical, sizeBytes, expected, value);
    if (done && (attributes & GuestMemory.CODE) != 0) {
      codeTracker.written(physical, sizeBytes);
    }
    return done;
  }

  private boolean compareAndSetPhysical(long physical, int sizeBytes, long expected, long value) {
    if (sizeBytes == 8) {
      return memory.compareAndSetLong(physical, expected, value);
    }
    if (sizeBytes == 4 && (physical & 3) == 0) {
      return memory.compareAndSetInt(physical, (int) expected, (int) value);
    }
    int shift = (int) (physical & 7) * 8;
    long field = mask(sizeBytes) << shift;
    while (true) {
      long word = memory.getLong(physical & -8);
      if ((word & field) != ((expected << shift) & field)) {
        return false;
      }
      if (memory.compareAndSetLong(physical, word, (word & ~field) | ((value << shift) & field))) {
        return true;
      }
    }
  }

  private boolean compareAndSetExclusively(long linear, int size, long expected, long value) {
    probeWrite(linear, size);
    boolean[] done = {false};
    exclusively(() -> {
      if (load(linear, size) == (expected & mask(size))) {
        store(linear, size, value);
        done[0] = true;
      }
    });
    return done[0];
  }

  /** Runs an action while every other processor is stopped at an instruction boundary. */
  public abstract void exclusively(Runnable action);

  static long mask(int sizeBytes) {
    return sizeBytes == 8 ? -1L : (1L << sizeBytes * 8) - 1;
  }

  // ---- slow paths

  private long loadSlowly(long linear, int size, int mode) {
    int effective = mode == CHECKED ? checkedAccess(linear, size, false) : mode;
    if (pageCrossing(linear, size)) {
      int first = (int) (4096 - (linear & 4095));
      long low = translate(linear, false, false, effective);
      long high = translate(wrap(linear + first), false, false, effective);
      return readPhysical(low, first) | readPhysical(high, size - first) << first * 8;
    }
    return readPhysical(translate(linear, false, false, effective), size);
  }

  private long loadPieces(long linear, int size, int mode) {
    if (size > 8 || size < 1) {
      throw new IllegalArgumentException("load of " + size + " bytes");
    }
    return loadSlowly(linear, size, mode);
  }

  private void storeSlowly(long linear, int size, long value, int mode) {
    int effective = mode == CHECKED ? checkedAccess(linear, size, true) : mode;
    if (pageCrossing(linear, size)) {
      int first = (int) (4096 - (linear & 4095));
      long low = translate(linear, true, false, effective);
      long high = translate(wrap(linear + first), true, false, effective);
      writePhysical(low, first, value);
      writePhysical(high, size - first, value >>> first * 8);
      return;
    }
    writePhysical(translate(linear, true, false, effective), size, value);
  }

  private void probe(long linear, int size, int mode) {
    int effective = mode;
    if (mode == CHECKED) {
      checkAlignment(linear, size);
      effective = plainMode();
    }
    translate(linear, true, false, effective);
    if (pageCrossing(linear, size)) {
      translate(wrap((linear | 4095) + 1), true, false, effective);
    }
  }

  private static boolean pageCrossing(long linear, int size) {
    return (linear & 4095) + size > 4096;
  }

  private long wrap(long linear) {
    return state.longMode() ? linear : linear & 0xFFFF_FFFFL;
  }

  /** The extra work of accesses under alignment checks and data breakpoints. */
  private int checkedAccess(long linear, int size, boolean write) {
    checkAlignment(linear, size);
    if (dataBreakpoints) {
      checkDataBreakpoints(linear, size, write);
    }
    return plainMode();
  }

  /**
   * Raises #AC(0); an address that is not canonical is left to the translation, whose #GP goes
   * first.
   */
  private void checkAlignment(long linear, int size) {
    if (state.privilege == 3
        && alignmentChecks()
        && (linear & alignment(size) - 1) != 0
        && linear << 16 >> 16 == linear) {
      throw fault(GuestFault.ALIGNMENT, 0);
    }
  }

  /**
   * Raises #AC(0) where alignment is checked and an access that is made in parts is not aligned as
   * a whole, before any part of it.
   *
   * @param alignment in bytes, a power of two
   */
  public final void requireAlignment(long linear, int alignment) {
    if (dataMode == CHECKED) {
      checkAlignment(linear, alignment);
    }
  }

  /** Ten bytes are to be aligned to eight; areas have no alignment as a whole. */
  private static int alignment(int size) {
    return size == 10 ? 8 : Integer.bitCount(size) == 1 ? size : 1;
  }

  private boolean alignmentChecks() {
    return (state.cr0 & CpuState.CR0_AM) != 0 && (state.systemFlags & CpuState.AC) != 0;
  }

  /**
   * Records a debug trap in {@link CpuState#pendingDebug} when a data breakpoint covers the bytes.
   */
  protected abstract void checkDataBreakpoints(long linear, int size, boolean write);

  /** Reads guest-physical memory or a device, up to 8 bytes inside one page. */
  protected final long readPhysical(long physical, int size) {
    if (memory.attributes(physical) != 0) {
      return switch (size) {
        case 1 -> memory.getByte(physical) & 0xFF;
        case 2 -> memory.getShort(physical) & 0xFFFF;
        case 4 -> memory.getInt(physical) & 0xFFFF_FFFFL;
        case 8 -> memory.getLong(physical);
        default -> {
          long value = 0;
          for (int i = 0; i < size; i++) {
            value |= (memory.getByte(physical + i) & 0xFFL) << i * 8;
          }
          yield value;
        }
      };
    }
    if (Integer.bitCount(size) != 1) {
      long value = 0;
      for (int i = 0; i < size; i++) {
        value |= (bus.readMmio(physical + i, 1) & 0xFF) << i * 8;
      }
      return value;
    }
    return bus.readMmio(physical, size) & mask(size);
  }

  /** Reads bytes of one page, of guest-physical memory or of what answers on the bus. */
  protected final void readPhysical(long physical, byte[] destination, int at, int length) {
    if (memory.attributes(physical) != 0) {
      memory.read(physical, destination, at, length);
      return;
    }
    for (int i = 0; i < length; i++) {
      destination[at + i] = (byte) bus.readMmio(physical + i, 1);
    }
  }

  /** Writes guest-physical memory or a device, up to 8 bytes inside one page. */
  protected final void writePhysical(long physical, int size, long value) {
    int attributes = memory.attributes(physical);
    if ((attributes & GuestMemory.RAM) != 0) {
      switch (size) {
        case 1 -> memory.putByte(physical, (byte) value);
        case 2 -> memory.putShort(physical, (short) value);
        case 4 -> memory.putInt(physical, (int) value);
        case 8 -> memory.putLong(physical, value);
        default -> {
          for (int i = 0; i < size; i++) {
            memory.putByte(physical + i, (byte) (value >>> i * 8));
          }
        }
      }
      if ((attributes & GuestMemory.CODE) != 0) {
        codeTracker.written(physical, size);
      }
      return;
    }
    if ((attributes & GuestMemory.ROM) != 0) {
      return;
    }
    if (Integer.bitCount(size) != 1) {
      for (int i = 0; i < size; i++) {
        bus.writeMmio(physical + i, 1, value >>> i * 8 & 0xFF);
      }
      return;
    }
    bus.writeMmio(physical, size, value);
  }

  private void pageTableWritten(long physical, int size) {
    if ((memory.attributes(physical) & GuestMemory.CODE) != 0) {
      codeTracker.written(physical, size);
    }
  }

  // ---- translation

  /** Translates for an instruction fetch at the current privilege. */
  protected final long translateFetch(long linear) {
    return translate(linear, false, true, state.privilege == 3 ? USER : systemMode());
  }

  /**
   * Translates a linear address, filling the TLB of the mode.
   *
   * @return the guest-physical address
   * @throws GuestFault #PF with CR2 set, or #GP(0) for an address that is not canonical
   */
  private long translate(long linear, boolean write, boolean fetch, int mode) {
    canonicalFault = false;
    if ((state.cr0 & CpuState.CR0_PG) == 0) {
      long physical = linear & 0xFFFF_FFFFL;
      if (!fetch && linear == physical) {
        insert(linear & -4096L, physical & -4096L, true, true, mode);
      }
      return physical;
    }
    if (state.longMode() && linear << 16 >> 16 != linear) {
      canonicalFault = true;
      throw generalProtection(0);
    }
    boolean smap = mode == SUPERVISOR_SMAP;
    int error = walker.walk(linear, write, fetch, mode == USER, smap);
    if (error >= 0) {
      state.cr2 = linear;
      throw fault(GuestFault.PAGE_FAULT, error);
    }
    long page = linear & -4096L;
    if (walker.pageBytes > 4096) {
      largeLow = Math.min(largeLow, page & -walker.pageBytes);
      largeHigh = Math.max(largeHigh, page | walker.pageBytes - 1);
    }
    if (!fetch) {
      boolean mayWrite =
          walker.dirty && (walker.writable || (mode != USER && (state.cr0 & CpuState.CR0_WP) == 0));
      insert(page, walker.physicalPage, mayWrite, walker.global, mode);
    }
    return walker.physicalPage | linear & 4095;
  }

  private void insert(long page, long physicalPage, boolean writable, boolean global, int mode) {
    int attributes = memory.attributes(physicalPage);
    boolean direct = (attributes & (GuestMemory.RAM | GuestMemory.ROM)) != 0;
    if (!direct) {
      return;
    }
    boolean silentWrite =
        writable
            && (attributes & (GuestMemory.RAM | GuestMemory.CODE | GuestMemory.DIRTY_LOGGED))
                == GuestMemory.RAM;
    tlbs[mode].insert(page, true, silentWrite, physicalPage - page, global);
  }

  // ---- what changes translations

  private int systemMode() {
    return (state.cr4 & CpuState.CR4_SMAP) != 0 ? SUPERVISOR_SMAP : SUPERVISOR;
  }

  private int plainMode() {
    if (state.privilege == 3) {
      return USER;
    }
    return (state.systemFlags & CpuState.AC) != 0 ? SUPERVISOR : systemMode();
  }

  /**
   * Chooses the TLBs for the current privilege and flags. Cheap; called at every change of them.
   */
  protected final void selectTlb() {
    int mode = plainMode();
    if (dataBreakpoints || (state.privilege == 3 && alignmentChecks())) {
      mode = CHECKED;
    }
    dataMode = mode;
    base = tlbs[mode].base;
    systemBase = tlbs[systemMode()].base;
  }

  /** DR7 was written. */
  protected final void selectDataBreakpoints() {
    boolean any = false;
    long dr7 = state.debug[7];
    if ((dr7 & DR7_ENABLED) != 0) {
      for (int i = 0; i < 4; i++) {
        boolean enabled = (dr7 >> i * 2 & 3) != 0;
        any |= enabled && (dr7 >> 16 + i * 4 & 1) != 0;
      }
    }
    dataBreakpoints = any;
    selectTlb();
  }

  @Override
  public void flushTlb(boolean globalToo) {
    for (Tlb each : tlbs) {
      if (globalToo) {
        each.flushAll();
      } else {
        each.flushNonGlobal();
      }
    }
    if (globalToo) {
      largeLow = Long.MAX_VALUE;
      largeHigh = Long.MIN_VALUE;
    }
    codeTranslationsDropped(globalToo);
  }

  /** Translations used for fetching are to be dropped as well. */
  protected abstract void codeTranslationsDropped(boolean globalToo);

  /** The translation of one page used for fetching is to be dropped. */
  protected abstract void codeTranslationDropped(long linear);

  @Override
  public void addressSpaceChanged(boolean keepTranslations) {
    // Only translations of the current PCID are held, so all but the global ones go in any case.
    flushTlb(false);
  }

  @Override
  public void invalidatePage(long linear) {
    if (linear >= largeLow && linear <= largeHigh) {
      flushTlb(true);
      return;
    }
    for (Tlb each : tlbs) {
      each.flushPage(linear & -4096L);
    }
    codeTranslationDropped(linear);
  }

  @Override
  public void invalidatePcid(int type, int pcid, long linear) {
    switch (type) {
      case 0 -> invalidatePage(linear);
      case 2 -> flushTlb(true);
      default -> flushTlb(false);
    }
  }

  /** A page of guest memory now holds cached code: no write to it may go unnoticed any more. */
  public final void removeWriteTranslations(long physicalPage) {
    for (Tlb each : tlbs) {
      each.removeWrite(physicalPage);
    }
  }

  /** Bits of the last walk for a fetch: whether the page is global. */
  protected final boolean fetchedPageIsGlobal() {
    return (state.cr0 & CpuState.CR0_PG) != 0 && walker.global;
  }
}
