package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.mmu.CodeTracker;
import io.anillo.vmm.x86.mmu.TlbArray;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decoded code of one machine, by physical page, shared by its processors. Only a cache: clearing
 * it at any instruction boundary is invisible.
 */
public final class CodeCache implements CodeTracker {
  /** Above this many decoded instructions everything is dropped: about 100 bytes each. */
  private static final int INSTRUCTION_LIMIT = 4_000_000;

  private final GuestMemory memory;
  private final @Nullable CodePage[] pages;
  private final List<InterpretedCpu> processors = new ArrayList<>();
  private final TlbArray translations;
  private @Nullable CodeProfile profile;
  private int instructions;
  private long invalidations;

  /** For a machine with one processor. */
  public CodeCache(GuestMemory memory) {
    this(memory, 1);
  }

  public CodeCache(GuestMemory memory, int processors) {
    this.memory = memory;
    this.translations = new TlbArray(processors);
    this.pages = new @Nullable CodePage[(int) (memory.rangeBytes() >>> GuestMemory.PAGE_SHIFT)];
    memory.setWriteListener(this::writtenByDevice);
  }

  /** The TLBs of the machine's processors: what code made for the machine looks addresses up in. */
  public TlbArray translations() {
    return translations;
  }

  /** Gives what is known of code from earlier runs; before the first instruction. */
  public void setProfile(CodeProfile newProfile) {
    this.profile = newProfile;
  }

  void register(InterpretedCpu processor) {
    processors.add(processor);
  }

  boolean single() {
    return processors.size() == 1;
  }

  /** The code page at a guest-physical address; null where there is no memory. */
  @Nullable CodePage page(long physical) {
    if (memory.attributes(physical) == 0) {
      return null;
    }
    int number = (int) (physical >>> GuestMemory.PAGE_SHIFT);
    CodePage page = pages[number];
    if (page == null) {
      synchronized (this) {
        page = pages[number];
        if (page == null) {
          page = new CodePage(physical & -4096L);
          pages[number] = page;
        }
      }
    }
    return page;
  }

  /**
   * Sees to it that from now on every write to the page is noticed. To be called before the page's
   * bytes are read for decoding, at an instruction boundary of {@code caller}.
   */
  void watch(CodePage page, InterpretedCpu caller) {
    if ((memory.attributes(page.physical) & GuestMemory.CODE) != 0) {
      return;
    }
    if (single()) {
      mark(page);
    } else {
      caller.exclusively(() -> mark(page));
    }
  }

  private void mark(CodePage page) {
    memory.addAttribute(page.physical, GuestMemory.CODE);
    for (InterpretedCpu each : processors) {
      each.removeWriteTranslations(page.physical);
    }
  }

  /**
   * Remembers a block.
   *
   * @param writes {@link CodePage#writes} from before its bytes were read; when it has changed
   *     since, the block runs once and is forgotten
   */
  synchronized void insert(CodePage page, Block block, int writes) {
    if ((memory.attributes(page.physical) & GuestMemory.CODE) == 0 || page.writes != writes) {
      return;
    }
    CodeProfile known = profile;
    if (known != null) {
      block.learned(known);
    }
    page.insert(block);
    instructions += block.instructions();
    if (instructions > INSTRUCTION_LIMIT) {
      clear();
    }
  }

  /** A snapshot of pages that are watched, or are nothing and then cannot be installed. */
  HotCode.Snapshot snapshot(Block block, List<Long> physicalPages) {
    int count = physicalPages.size();
    @Nullable CodePage[] taken = new @Nullable CodePage[count];
    int[] writes = new int[count];
    synchronized (this) {
      for (int i = 0; i < count; i++) {
        CodePage page = page(physicalPages.get(i));
        taken[i] = page;
        writes[i] = page == null ? 0 : page.writes;
      }
    }
    return (code, chunks) -> install(block, code, taken, writes, chunks);
  }

  private synchronized boolean install(
      Block block, CompiledCode code, @Nullable CodePage[] taken, int[] writes, long[] chunks) {
    if (!block.current()) {
      return false;
    }
    for (int i = 0; i < taken.length; i++) {
      CodePage page = taken[i];
      if (page == null
          || page.writes != writes[i]
          || (memory.attributes(page.physical) & GuestMemory.CODE) == 0) {
        return false;
      }
    }
    for (int i = 0; i < taken.length; i++) {
      CodePage page = taken[i];
      if (page != null) {
        page.depend(code, chunks[i]);
      }
    }
    code.enteredFrom(block);
    block.install(code);
    return true;
  }

  /** Lets code run from a block for which it was installed before, if both are current. */
  synchronized boolean use(Block block, CompiledCode code) {
    if (!block.current() || !code.valid) {
      return false;
    }
    block.install(code);
    return true;
  }

  /** Lets code go on at other code without leaving. */
  synchronized void link(CompiledCode from, int number, CompiledCode to) {
    from.linkTo(number, to);
  }

  /** How many instructions the compiled code that runs at a guest-physical address has, or 0. */
  int compiled(long physical, int key) {
    CodePage page = pages[(int) (physical >>> GuestMemory.PAGE_SHIFT)];
    Block block = page == null ? null : page.find((int) physical & 4095, key);
    CompiledCode code = block == null ? null : block.compiled;
    return code == null ? 0 : code.instructions();
  }

  /** Gives up compiled code; a processor inside it leaves at its next look for interrupts. */
  public void evict(CompiledCode code) {
    synchronized (this) {
      code.invalidate();
    }
    processors.forEach(InterpretedCpu::leaveCompiledCode);
  }

  /** How often the block at a guest-physical address has run as steps; 0 where there is none. */
  int heat(long physical, int key) {
    CodePage page = pages[(int) (physical >>> GuestMemory.PAGE_SHIFT)];
    Block block = page == null ? null : page.find((int) physical & 4095, key);
    return block == null ? 0 : Math.max(block.heat, 1);
  }

  /** The {@link CodeKey} of the block at a guest-physical address; 0 where there is none. */
  long contentKey(long physical, int key) {
    CodePage page = pages[(int) (physical >>> GuestMemory.PAGE_SHIFT)];
    Block block = page == null ? null : page.find((int) physical & 4095, key);
    return block == null ? 0 : block.contentKey();
  }

  @Override
  public void written(long physical, int sizeBytes) {
    CodePage page = pages[(int) (physical >>> GuestMemory.PAGE_SHIFT)];
    if (page == null) {
      return;
    }
    if (single()) {
      written(page, physical, sizeBytes);
      return;
    }
    // Under the lock, so that a block that another processor decoded from the old bytes is either
    // in the page and dropped here, or sees the count and does not get in.
    synchronized (this) {
      written(page, physical, sizeBytes);
    }
  }

  private void written(CodePage page, long physical, int sizeBytes) {
    page.countWrite();
    int first = (int) physical & 4095;
    int firstChunk = first >>> 6;
    int lastChunk = Math.min(first + sizeBytes - 1, 4095) >>> 6;
    long touched = (-1L >>> 63 - (lastChunk - firstChunk)) << firstChunk;
    if ((page.chunks & touched) == 0) {
      return;
    }
    drop(page);
  }

  private synchronized void writtenByDevice(long pageAddress) {
    CodePage page = pages[(int) (pageAddress >>> GuestMemory.PAGE_SHIFT)];
    if (page != null) {
      page.countWrite();
      drop(page);
    }
  }

  private synchronized void drop(CodePage page) {
    memory.removeAttribute(page.physical, GuestMemory.CODE);
    instructions -= page.clear();
    invalidations++;
    // Whoever runs code of the page leaves it soon. The only one has left, in order to write.
    if (!single()) {
      processors.forEach(InterpretedCpu::leaveCompiledCode);
    }
  }

  /** Drops everything. */
  public synchronized void clear() {
    for (CodePage page : pages) {
      if (page != null && page.chunks != 0) {
        drop(page);
      }
    }
    instructions = 0;
  }

  /** How often a page's code was dropped because it was written. */
  public synchronized long invalidations() {
    return invalidations;
  }
}
