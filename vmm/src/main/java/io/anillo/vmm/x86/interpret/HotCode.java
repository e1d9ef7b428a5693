package io.anillo.vmm.x86.interpret;

/** Told when a block of 64-bit code has run often enough to be worth compiling. */
@FunctionalInterface
public interface HotCode {

  /**
   * Asks for the code at a place to be compiled; returns at once. The result, if any, is handed to
   * {@code site}.
   *
   * @param physical guest-physical address of the block
   */
  void request(Site site, long physical);

  /** Where compiled code is to be installed. */
  interface Site {
    /** Installs compiled code; from any thread. */
    void install(CompiledCode code);

    /** Whether the block's code is still what it was. */
    boolean current();
  }
}
