package io.anillo.vmm.hypercall;

/** Calls of our own interface; docs/hypercalls.md describes them. */
@FunctionalInterface
public interface OwnCalls {

  /**
   * Carries one out, on the calling processor's thread.
   *
   * @param function number of the call, 0 up
   * @return the result, negative for an error
   */
  long call(int function, long first, long second, long third);

  /** Knows none. */
  OwnCalls NONE = (function, first, second, third) -> KvmInterface.NO_SUCH_CALL;
}
