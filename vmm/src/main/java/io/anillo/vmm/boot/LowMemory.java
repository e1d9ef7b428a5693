package io.anillo.vmm.boot;

import io.anillo.vmm.memory.GuestMemory;
import java.nio.charset.StandardCharsets;

/**
 * Where loaders leave what a kernel reads at its start: all below 640 KiB, and usable memory once
 * it has been read.
 */
final class LowMemory {
  static final long DESCRIPTORS = 0x500;

  /** Boot parameters: Linux's zero page, the PVH start info, or the multiboot information. */
  static final long PARAMETERS = 0x7000;

  static final long STACK_TOP = 0x8FF0;

  /** A PML4, a page-directory-pointer table and four page directories. */
  static final long PAGE_TABLES = 0x9000;

  static final long COMMAND_LINE = 0x20000;
  static final int COMMAND_LINE_MAXIMUM = 0x10000;

  static final long START = DESCRIPTORS;
  static final long END = COMMAND_LINE + COMMAND_LINE_MAXIMUM;

  private LowMemory() {}

  /**
   * Writes the command line, zero-terminated.
   *
   * @param maximum the longest the kernel takes, in bytes without the terminator
   */
  static void writeCommandLine(GuestMemory memory, String commandLine, long maximum)
      throws BootException {
    byte[] bytes = commandLine.getBytes(StandardCharsets.UTF_8);
    long limit = Math.min(maximum, COMMAND_LINE_MAXIMUM - 1);
    if (bytes.length > limit) {
      throw new BootException(
          "the command line is "
              + bytes.length
              + " bytes long, and this kernel takes at most "
              + limit);
    }
    memory.write(COMMAND_LINE, bytes, 0, bytes.length);
    memory.putByte(COMMAND_LINE + bytes.length, (byte) 0);
  }

  /** Whether a range that an image wants to be loaded to would destroy what lies here. */
  static boolean overlaps(long start, long length) {
    return start < END && start + length > START;
  }
}
