package io.anillo.vmm.x86.interpret;

/**
 * What a processor knows of the code around a place, for whoever compiles it; asked by another
 * thread. Everything may be out of date: a region made of it can only ever be useless, not wrong,
 * since it checks what it depends on.
 */
public interface CodeHints {
  /** Linear address of the place. */
  long linear();

  /** Guest-physical address of the place. */
  long physical();

  /**
   * Guest-physical address of the page from which code at a linear page is fetched, or -1 where
   * that is not known.
   */
  long physicalPage(long linearPage);

  /** How often a block that begins at a guest-physical address has run, as far as known. */
  int heat(long physical);

  /**
   * What names the block at a guest-physical address in a {@link CodeProfile}; 0 where there is
   * none.
   */
  long key(long physical);

  /**
   * How many instructions the compiled code has that is entered at a guest-physical address; 0 if
   * none, {@link CompiledCode#LONGEST_PATH} if it was optimized.
   */
  int compiled(long physical);

  /** A sample of the processor's general registers, at about this moment. */
  long[] registers();

  /** Where the indirect jump or call at a linear address led lately; none where not known. */
  long[] targets(long linear);
}
