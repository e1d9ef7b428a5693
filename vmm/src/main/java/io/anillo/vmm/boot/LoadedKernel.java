package io.anillo.vmm.boot;

/**
 * A kernel that lies in guest memory, ready to run.
 *
 * @param format what it was recognised as, for people
 * @param version the version that the image names itself, empty when it names none
 * @param entry the address of its first instruction
 */
public record LoadedKernel(String format, String version, long entry) {}
