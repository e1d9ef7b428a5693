package io.anillo.storage.host;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A Linux file descriptor for what {@code FileChannel} cannot do: punching holes ({@code
 * fallocate(2)}) and asking where the data lies ({@code lseek(2)} with {@code SEEK_DATA}). Absent
 * on other hosts, where files are simply treated as fully allocated.
 */
public final class FileDescriptor implements AutoCloseable {
  private static final int OPEN_READ_ONLY = 0;
  private static final int OPEN_READ_WRITE = 2;
  private static final int OPEN_CLOSE_ON_EXEC = 0x80000;
  private static final int KEEP_SIZE = 1;
  private static final int PUNCH_HOLE = 2;
  private static final int ZERO_RANGE = 0x10;
  private static final int SEEK_DATA = 3;
  private static final int SEEK_HOLE = 4;
  private static final int SET_OPEN_FILE_LOCK = 37;
  private static final short READ_LOCK = 0;
  private static final short WRITE_LOCK = 1;
  private static final int NO_SUCH_ADDRESS = 6;
  private static final int TRY_AGAIN = 11;
  private static final int PERMISSION_DENIED = 13;

  private static final @Nullable Calls CALLS = Calls.lookUp();

  private final Calls calls;
  private final int descriptor;
  private boolean open = true;

  private FileDescriptor(Calls calls, int descriptor) {
    this.calls = calls;
    this.descriptor = descriptor;
  }

  /** Opens an existing file, or nothing when the host offers no such calls or refuses them. */
  public static @Nullable FileDescriptor open(Path path, boolean readOnly) {
    Calls calls = CALLS;
    if (calls == null) {
      return null;
    }
    try (Arena arena = Arena.ofConfined()) {
      int flags = (readOnly ? OPEN_READ_ONLY : OPEN_READ_WRITE) | OPEN_CLOSE_ON_EXEC;
      MemorySegment state = arena.allocate(Calls.STATE);
      int descriptor =
          (int) calls.open.invokeExact(state, arena.allocateFrom(path.toString()), flags);
      return descriptor < 0 ? null : new FileDescriptor(calls, descriptor);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  /** Frees the space of a range, which then reads as zeros. False when the file cannot. */
  public boolean punchHole(long offset, long length) {
    return allocate(PUNCH_HOLE | KEEP_SIZE, offset, length);
  }

  /** Makes a range read as zeros while it stays allocated. False when the file cannot. */
  public boolean zeroRange(long offset, long length) {
    return allocate(ZERO_RANGE | KEEP_SIZE, offset, length);
  }

  private synchronized boolean allocate(int mode, long offset, long length) {
    if (!open) {
      return false;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      return (int) calls.allocate.invokeExact(state, descriptor, mode, offset, length) == 0;
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  /** The first byte of data at or after an offset, or -1 when only a hole follows. */
  public long nextData(long offset) throws IOException {
    return seek(offset, SEEK_DATA);
  }

  /** The first byte of a hole at or after an offset (the end of the file counts as one). */
  public long nextHole(long offset) throws IOException {
    return seek(offset, SEEK_HOLE);
  }

  private synchronized long seek(long offset, int whence) throws IOException {
    if (!open) {
      throw new IOException("the file is closed");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      long found = (long) calls.seek.invokeExact(state, descriptor, offset, whence);
      if (found < 0) {
        int error = (int) Calls.ERROR.get(state, 0L);
        if (error == NO_SUCH_ADDRESS) {
          return -1;
        }
        throw new IOException("lseek failed with error " + error);
      }
      return found;
    } catch (IOException failure) {
      throw failure;
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  /**
   * Takes a lock on the whole file that other processes (and other opens in this one) see; it falls
   * with this descriptor. True also where the file system knows no locks.
   */
  public synchronized boolean lock(boolean exclusive) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(Calls.STATE);
      // struct flock: short type, short whence, (padding), off_t start, off_t length, pid_t
      MemorySegment lock = arena.allocate(32, 8);
      lock.set(java.lang.foreign.ValueLayout.JAVA_SHORT, 0, exclusive ? WRITE_LOCK : READ_LOCK);
      int result = (int) calls.control.invokeExact(state, descriptor, SET_OPEN_FILE_LOCK, lock);
      int error = (int) Calls.ERROR.get(state, 0L);
      return result == 0 || (error != TRY_AGAIN && error != PERMISSION_DENIED);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  @Override
  public synchronized void close() {
    if (!open) {
      return;
    }
    open = false;
    try {
      int ignored = (int) calls.close.invokeExact(descriptor);
    } catch (Throwable failure) {
      throw unexpected(failure);
    }
  }

  private static IllegalStateException unexpected(Throwable failure) {
    return new IllegalStateException("a call of the C library could not be made", failure);
  }

  /** The method handles, found once. */
  private record Calls(
      MethodHandle open,
      MethodHandle close,
      MethodHandle allocate,
      MethodHandle seek,
      MethodHandle control) {
    private static final Linker.Option CAPTURE = Linker.Option.captureCallState("errno");
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERROR =
        STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    static @Nullable Calls lookUp() {
      if (!System.getProperty("os.name", "").equals("Linux")) {
        return null;
      }
      Linker linker = Linker.nativeLinker();
      // open and fcntl take variable arguments, which the calling convention must know
      return new Calls(
          linker.downcallHandle(
              symbol(linker, "open"),
              FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
              Linker.Option.firstVariadicArg(2),
              CAPTURE),
          linker.downcallHandle(symbol(linker, "close"), FunctionDescriptor.of(JAVA_INT, JAVA_INT)),
          linker.downcallHandle(
              symbol(linker, "fallocate"),
              FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG),
              CAPTURE),
          linker.downcallHandle(
              symbol(linker, "lseek"),
              FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT),
              CAPTURE),
          linker.downcallHandle(
              symbol(linker, "fcntl"),
              FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS),
              Linker.Option.firstVariadicArg(2),
              CAPTURE));
    }

    private static MemorySegment symbol(Linker linker, String name) {
      return linker.defaultLookup().find(name).orElseThrow();
    }
  }
}
