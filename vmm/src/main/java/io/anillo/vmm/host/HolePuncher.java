package io.anillo.vmm.host;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * Gives ranges of a file back to the file system, which then read as zeros (Linux {@code fallocate}
 * with {@code FALLOC_FL_PUNCH_HOLE}). Where the host or the file system cannot, it says so and does
 * nothing.
 */
public final class HolePuncher implements AutoCloseable {
  private static final int O_RDWR = 2;
  private static final int O_CLOEXEC = 0x8_0000;
  private static final int KEEP_SIZE_AND_PUNCH_HOLE = 3;

  /** The C functions; looked up once, and only on Linux. */
  private static final class Native {
    static final MethodHandle OPEN =
        handle(
            "open",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT),
            Linker.Option.firstVariadicArg(2));
    static final MethodHandle FALLOCATE =
        handle(
            "fallocate",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG));
    static final MethodHandle CLOSE =
        handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));

    private static MethodHandle handle(
        String name, FunctionDescriptor type, Linker.Option... options) {
      Linker linker = Linker.nativeLinker();
      return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), type, options);
    }
  }

  private int descriptor;
  private boolean supported;

  /** Opens the file a second time, for holes only. Never fails: see {@link #punch}. */
  public HolePuncher(Path file) {
    descriptor = System.getProperty("os.name").equals("Linux") ? open(file) : -1;
    supported = descriptor >= 0;
  }

  private static int open(Path file) {
    try (Arena arena = Arena.ofConfined()) {
      return (int) Native.OPEN.invokeExact(arena.allocateFrom(file.toString()), O_RDWR | O_CLOEXEC);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Makes a range of the file read as zeros without occupying space.
   *
   * @return false, with nothing changed, when that is not possible here
   */
  public synchronized boolean punch(long offset, long lengthBytes) {
    if (!supported || lengthBytes <= 0) {
      return supported && lengthBytes == 0;
    }
    try {
      supported =
          (int)
                  Native.FALLOCATE.invokeExact(
                      descriptor, KEEP_SIZE_AND_PUNCH_HOLE, offset, lengthBytes)
              == 0;
      return supported;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public synchronized void close() {
    if (descriptor >= 0) {
      try {
        int ignored = (int) Native.CLOSE.invokeExact(descriptor);
      } catch (RuntimeException | Error e) {
        throw e;
      } catch (Throwable e) {
        throw new IllegalStateException(e);
      }
    }
    descriptor = -1;
    supported = false;
  }
}
