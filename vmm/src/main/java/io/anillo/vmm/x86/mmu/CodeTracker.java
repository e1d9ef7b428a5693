package io.anillo.vmm.x86.mmu;

/**
 * Told of every write by a processor to a page that holds cached code ({@code GuestMemory.CODE}).
 */
public interface CodeTracker {

  /**
   * Drops cached code that overlaps the bytes.
   *
   * @param physical guest-physical address; the bytes lie in one page
   */
  void written(long physical, int sizeBytes);
}
