package io.anillo.vmm.machine;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * The file of a saved machine: {@link #MAGIC}, a version, the length and bytes of a state record
 * (processors and board), then the pages of RAM that are not all zeros, each its guest-physical
 * address and {@value GuestMemory#PAGE_BYTES} bytes, and {@link #END_OF_PAGES}. Numbers are
 * big-endian.
 */
final class MachineImage {
  private static final long MAGIC = 0x414E494C4C4F5631L;
  private static final int VERSION = 1;
  private static final long END_OF_PAGES = -1;
  private static final int MAXIMUM_STATE_BYTES = 1 << 28;

  private MachineImage() {}

  /** Writes the file whole or not at all. */
  static void write(Path file, StateWriter state, GuestMemory memory) throws IOException {
    Path directory = file.toAbsolutePath().getParent();
    Path unfinished = Files.createTempFile(directory, file.getFileName().toString(), ".unfinished");
    try {
      try (DataOutputStream out =
          new DataOutputStream(
              new BufferedOutputStream(Files.newOutputStream(unfinished), 1 << 16))) {
        byte[] record = state.toByteArray();
        out.writeLong(MAGIC);
        out.writeInt(VERSION);
        out.writeInt(record.length);
        out.write(record);
        writePages(out, memory);
      }
      Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(unfinished);
    }
  }

  private static void writePages(DataOutputStream out, GuestMemory memory) throws IOException {
    byte[] page = new byte[GuestMemory.PAGE_BYTES];
    for (long at = 0; at < memory.rangeBytes(); at += GuestMemory.PAGE_BYTES) {
      if (memory.isRam(at) && !isZero(memory, at)) {
        memory.read(at, page, 0, page.length);
        out.writeLong(at);
        out.write(page);
      }
    }
    out.writeLong(END_OF_PAGES);
  }

  private static boolean isZero(GuestMemory memory, long page) {
    for (int at = 0; at < GuestMemory.PAGE_BYTES; at += Long.BYTES) {
      if (memory.getLong(page + at) != 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Reads the file: pages into memory that is all zeros, and the record.
   *
   * @throws StateException when the file is no saved machine, is damaged, or has more memory
   */
  static StateReader read(Path file, GuestMemory memory) throws IOException {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file), 1 << 16))) {
      if (in.readLong() != MAGIC) {
        throw new StateException(file + " is not a saved machine");
      }
      int version = in.readInt();
      if (version != VERSION) {
        throw new StateException(
            file + " has version " + version + "; this program reads " + VERSION);
      }
      int length = in.readInt();
      if (length < 0 || length > MAXIMUM_STATE_BYTES) {
        throw new StateException(file + " is damaged: a state of " + length + " bytes");
      }
      byte[] record = in.readNBytes(length);
      byte[] page = new byte[GuestMemory.PAGE_BYTES];
      for (long at = in.readLong(); at != END_OF_PAGES; at = in.readLong()) {
        if ((at & GuestMemory.PAGE_BYTES - 1) != 0 || !memory.isRam(at)) {
          throw new StateException(
              "%s holds memory at 0x%x, where this machine has none".formatted(file, at));
        }
        in.readFully(page);
        memory.write(at, page, 0, page.length);
      }
      return new StateReader(record);
    } catch (EOFException e) {
      throw new StateException(file + " is truncated");
    }
  }
}
