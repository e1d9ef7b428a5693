package io.anillo.vmm.x86.interpret;

/** What is known of code before it runs, from earlier runs of the same code. */
@FunctionalInterface
public interface CodeProfile {
  /**
   * How hot a block is to be taken to be when it is first decoded.
   *
   * @param pageHash {@link CodePages#hash} of the page it stands in
   * @param pageOffset where it begins in the page
   * @return runs that it is as if it had had already, 0 or more
   */
  int initialHeat(long pageHash, int pageOffset);
}
