package io.anillo.vmm.x86.interpret;

import java.util.List;

/** Told when code has run often enough to be worth compiling. Calls return at once. */
public interface HotCode {

  /**
   * Asks for the 64-bit code at a place to be compiled. The result, if any, is handed to {@code
   * site}.
   */
  void request(Site site, CodeHints hints);

  /** Where compiled code is to be installed. */
  interface Site {
    /** Whether the block's code is still what it was. */
    boolean current();

    /** How often the block has run as steps. */
    int heat();

    /** Instructions of the block, all of which run when it does. */
    int instructions();

    /** {@link CodeProfile#instructions} of the block, when it was decoded. */
    long expected();

    /** Lets the block be offered again when it has run as often as it had to. */
    void rearm();

    /**
     * Lets code run that was installed here before, and has not been given up.
     *
     * @return whether it runs from now on
     */
    boolean use(CompiledCode code);

    /**
     * Begins to watch the pages that code will be made of. To be called before their bytes are
     * read.
     *
     * @param physicalPages guest-physical addresses
     * @return what tells whether they have changed
     */
    Snapshot snapshot(List<Long> physicalPages);
  }

  /** Pages as they were at one time. */
  interface Snapshot {
    /**
     * Installs code made of the pages, if none has changed since, instead of what ran there.
     *
     * @param chunks for each page, a bit for each 64 bytes that the code was made of
     * @return whether the code was installed
     */
    boolean install(CompiledCode code, long[] chunks);
  }
}
