package io.anillo.vmm.x86.translate;

import org.jspecify.annotations.Nullable;

/**
 * One call inside a region: the called code is in the region once for each call, so that its return
 * has one place to go to.
 *
 * @param caller null for the code that the region was entered in, whose returns lead out
 * @param returnDelta where the call returns to
 * @param entry where the called code begins
 * @param depth calls around it
 */
record Activation(@Nullable Activation caller, int returnDelta, int entry, int depth) {
  static Activation root(int entry) {
    return new Activation(null, 0, entry, 0);
  }

  /** How often code that begins at a place is being called here already. */
  int active(int place) {
    int count = entry == place ? 1 : 0;
    return caller == null ? count : count + caller.active(place);
  }

  // Two calls with equal fields are the same call.
}
