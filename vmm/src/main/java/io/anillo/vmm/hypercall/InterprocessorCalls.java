package io.anillo.vmm.hypercall;

/** What one processor's hypercalls do to others. From any processor's thread. */
public interface InterprocessorCalls {

  /**
   * Sends one interrupt to many.
   *
   * @param apicId of a processor
   * @param command as in the interrupt command register: vector and delivery mode
   * @return whether there is such a processor
   */
  boolean send(int apicId, int command);

  /** Ends the HLT that a processor is in, or the next one. */
  void wake(int apicId);

  /** No others. */
  InterprocessorCalls NONE =
      new InterprocessorCalls() {
        @Override
        public boolean send(int apicId, int command) {
          return false;
        }

        @Override
        public void wake(int apicId) {}
      };
}
