package io.anillo.vmm.host;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Objects;

/**
 * Reserves address space for guest memory. On Linux it is an anonymous memory file mapped without
 * reservation, so that untouched guest memory costs nothing; elsewhere it is plain native memory.
 */
public final class HostMemory {
  private static final int PROT_READ_WRITE = 3;
  private static final int MAP_SHARED = 1;
  private static final int MAP_NORESERVE = 0x4000;
  private static final int MFD_CLOEXEC = 1;

  /** Frees the pages of a shared mapping in its file too. */
  private static final int MADV_REMOVE = 9;

  /** The calls that reserve memory on Linux. */
  private static final class Calls {
    static final MethodHandle MEMFD_CREATE =
        handle(
            "memfd_create",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
    static final MethodHandle FTRUNCATE =
        handle(
            "ftruncate",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
    static final MethodHandle MMAP =
        handle(
            "mmap",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG));

    private static MethodHandle handle(String name, FunctionDescriptor type) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), type);
    }
  }

  private final long address;
  private final long sizeBytes;
  private final int fileDescriptor;

  private HostMemory(long address, long sizeBytes, int fileDescriptor) {
    this.address = address;
    this.sizeBytes = sizeBytes;
    this.fileDescriptor = fileDescriptor;
  }

  /**
   * Reserves {@code sizeBytes} of zeroed memory, a multiple of the page size.
   *
   * @throws OutOfMemoryError when the host refuses
   */
  public static HostMemory reserve(long sizeBytes) {
    if (System.getProperty("os.name").equals("Linux")) {
      return reserveOnLinux(sizeBytes);
    }
    MemorySegment segment = Arena.global().allocate(sizeBytes, 4096);
    return new HostMemory(segment.address(), sizeBytes, -1);
  }

  /** Links what {@link #reserve} calls, which takes a while, once. */
  public static void prepare() {
    if (System.getProperty("os.name").equals("Linux")) {
      Objects.requireNonNull(Calls.MMAP);
    }
  }

  private static HostMemory reserveOnLinux(long sizeBytes) {
    try (Arena arena = Arena.ofConfined()) {
      int file =
          (int) Calls.MEMFD_CREATE.invokeExact(arena.allocateFrom("anillo-guest"), MFD_CLOEXEC);
      if (file < 0 || (int) Calls.FTRUNCATE.invokeExact(file, sizeBytes) != 0) {
        throw new OutOfMemoryError("the host refuses a memory file of " + sizeBytes + " bytes");
      }
      long address =
          (long)
              Calls.MMAP.invokeExact(
                  0L, sizeBytes, PROT_READ_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0L);
      if (address == -1) {
        throw new OutOfMemoryError(
            "the host refuses to map " + sizeBytes + " bytes of guest memory");
      }
      return new HostMemory(address, sizeBytes, file);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Start of the range in this process. */
  public long address() {
    return address;
  }

  public long sizeBytes() {
    return sizeBytes;
  }

  /** The memory file, or -1 where the host has none. */
  public int fileDescriptor() {
    return fileDescriptor;
  }

  /**
   * Gives a part of the range back to the operating system; it then reads as zeros and costs
   * nothing.
   *
   * @param offset in the range, page-aligned
   * @return false, with nothing changed, where the host cannot
   */
  public boolean giveBack(long offset, long lengthBytes) {
    if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > sizeBytes) {
      throw new IllegalArgumentException(lengthBytes + " bytes at " + offset + " of " + sizeBytes);
    }
    return fileDescriptor >= 0
        && new HostSystem().advise(address + offset, lengthBytes, MADV_REMOVE) == 0;
  }

  /** Gives the range back. Nobody may access it any more. */
  public void release() {
    if (fileDescriptor < 0) {
      return;
    }
    Linker linker = Linker.nativeLinker();
    try {
      MethodHandle munmap =
          linker.downcallHandle(
              linker.defaultLookup().find("munmap").orElseThrow(),
              FunctionDescriptor.of(
                  ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
      MethodHandle close =
          linker.downcallHandle(
              linker.defaultLookup().find("close").orElseThrow(),
              FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
      int ignoredUnmap = (int) munmap.invokeExact(address, sizeBytes);
      int ignoredClose = (int) close.invokeExact(fileDescriptor);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
