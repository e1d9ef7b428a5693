package io.anillo.vmm.x86.translate;

/**
 * A page of code that a region was made of.
 *
 * @param number position in the region; the entry's page is 0
 * @param delta linear address relative to that of the entry's page
 * @param physical guest-physical address
 * @param bytes what it held
 */
record RegionPage(int number, int delta, long physical, byte[] bytes) {}
