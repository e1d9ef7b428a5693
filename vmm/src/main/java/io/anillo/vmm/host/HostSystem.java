package io.anillo.vmm.host;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * System calls of Linux for drivers that are spoken to by {@code ioctl}, and for signals between
 * threads. Each returns what the C function returns; after a negative result {@link #errno} tells
 * why. One instance belongs to one thread at a time.
 *
 * <p>No call is a {@code critical} one: a thread in {@link #ioctl} may stay there for long and must
 * not hold up the virtual machine's safepoints.
 *
 * <p>Not final, so that a test can answer as another host's kernel does.
 */
public class HostSystem {
  public static final int EPERM = 1, ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13;
  public static final int EBUSY = 16, EINVAL = 22;
  private static final int O_RDWR = 2, O_CLOEXEC = 0x8_0000;
  private static final int PROT_READ_WRITE = 3, MAP_SHARED = 1;
  private static final long SYS_GETTID = 186, SYS_TGKILL = 234, SYS_RT_SIGPROCMASK = 14;
  private static final long SYS_RT_SIGTIMEDWAIT = 128;
  private static final long SYS_READ = 0, SYS_WRITE = 1, SYS_EVENTFD2 = 290;
  private static final int COUNTER_BYTES = 8;
  private static final int SIG_BLOCK = 0;
  private static final int MASK_BYTES = 8;

  private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  /** The C functions; looked up once, and only where they are used. */
  private static final class Native {
    static final Linker LINKER = Linker.nativeLinker();
    static final MethodHandle OPEN =
        handle(
            "open",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT),
            2);
    static final MethodHandle IOCTL =
        handle(
            "ioctl",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG),
            2);
    static final MethodHandle SYSCALL =
        handle(
            "syscall",
            FunctionDescriptor.of(
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG),
            1);
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
                ValueLayout.JAVA_LONG),
            -1);
    static final MethodHandle MUNMAP =
        handle(
            "munmap",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG),
            -1);
    static final MethodHandle CLOSE =
        handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT), -1);
    static final MethodHandle MADVISE =
        handle(
            "madvise",
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_INT),
            -1);

    private static MethodHandle handle(String name, FunctionDescriptor type, int firstVariadic) {
      Linker.Option capture = Linker.Option.captureCallState("errno");
      Linker.Option[] options =
          firstVariadic < 0
              ? new Linker.Option[] {capture}
              : new Linker.Option[] {capture, Linker.Option.firstVariadicArg(firstVariadic)};
      return LINKER.downcallHandle(LINKER.defaultLookup().find(name).orElseThrow(), type, options);
    }
  }

  private final MemorySegment captured;
  private final MemorySegment mask;

  public HostSystem() {
    Arena arena = Arena.ofAuto();
    captured = arena.allocate(CAPTURE);
    mask = arena.allocate(MASK_BYTES);
  }

  /** Whether this host has these calls. */
  public static boolean available() {
    return System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").equals("amd64");
  }

  /** The error number of the last call that failed. */
  public int errno() {
    return (int) ERRNO.get(captured, 0L);
  }

  /** Opens a device file for reading and writing. */
  public int open(String path) {
    try (Arena arena = Arena.ofConfined()) {
      return (int) Native.OPEN.invokeExact(captured, arena.allocateFrom(path), O_RDWR | O_CLOEXEC);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  public int ioctl(int descriptor, long request, long argument) {
    try {
      return (int) Native.IOCTL.invokeExact(captured, descriptor, request, argument);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  public final int ioctl(int descriptor, long request, MemorySegment argument) {
    return ioctl(descriptor, request, argument.address());
  }

  public void close(int descriptor) {
    try {
      int ignored = (int) Native.CLOSE.invokeExact(captured, descriptor);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Maps the beginning of a device file; {@code null} segment address 0 stands for failure. */
  public MemorySegment map(int descriptor, long sizeBytes) {
    try {
      long address =
          (long)
              Native.MMAP.invokeExact(
                  captured, 0L, sizeBytes, PROT_READ_WRITE, MAP_SHARED, descriptor, 0L);
      return address == -1
          ? MemorySegment.NULL
          : MemorySegment.ofAddress(address).reinterpret(sizeBytes);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  public void unmap(MemorySegment mapping) {
    try {
      int ignored =
          (int) Native.MUNMAP.invokeExact(captured, mapping.address(), mapping.byteSize());
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** {@code madvise} on a range of this process. */
  public int advise(long address, long sizeBytes, int advice) {
    try {
      return (int) Native.MADVISE.invokeExact(captured, address, sizeBytes, advice);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  // ---- threads and signals

  /** The operating system's id of the calling thread. */
  public int threadId() {
    return (int) syscall(SYS_GETTID, 0, 0, 0, 0);
  }

  /** Sends a signal to one thread of this process. From any thread with an instance of its own. */
  public void signal(int threadId, int signal) {
    syscall(SYS_TGKILL, ProcessHandle.current().pid(), threadId, signal, 0);
  }

  /**
   * Blocks a signal in the calling thread: it stays pending.
   *
   * @return the signals blocked before, one bit each from signal 1 on
   */
  public long block(int signal) {
    mask.set(ValueLayout.JAVA_LONG, 0, 1L << signal - 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment before = arena.allocate(MASK_BYTES, 8);
      syscall(SYS_RT_SIGPROCMASK, SIG_BLOCK, mask.address(), before.address(), MASK_BYTES);
      return before.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** Takes a blocked signal that is pending for the calling thread, without waiting. */
  public boolean take(int signal) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment set = arena.allocate(MASK_BYTES, 8);
      set.set(ValueLayout.JAVA_LONG, 0, 1L << signal - 1);
      MemorySegment noTime = arena.allocate(16, 8);
      return syscall(SYS_RT_SIGTIMEDWAIT, set.address(), 0, noTime.address(), MASK_BYTES) == signal;
    }
  }

  // ---- counters that threads and drivers wait for

  /** Makes a counter ({@code eventfd}); its descriptor, or a negative number. */
  public int eventDescriptor() {
    return (int) syscall(SYS_EVENTFD2, 0, O_CLOEXEC, 0, 0);
  }

  /** Waits until a counter is not 0, and takes it back to 0. */
  public boolean awaitEvent(int descriptor) {
    return syscall(SYS_READ, descriptor, mask.address(), COUNTER_BYTES, 0) == COUNTER_BYTES;
  }

  /** Adds 1 to a counter. */
  public void signalEvent(int descriptor) {
    mask.set(ValueLayout.JAVA_LONG, 0, 1);
    syscall(SYS_WRITE, descriptor, mask.address(), COUNTER_BYTES, 0);
  }

  private long syscall(long number, long a, long b, long c, long d) {
    try {
      return (long) Native.SYSCALL.invokeExact(captured, number, a, b, c, d);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static RuntimeException unexpected(Throwable e) {
    return switch (e) {
      case RuntimeException exception -> exception;
      case Error error -> throw error;
      default -> new IllegalStateException(e);
    };
  }
}
