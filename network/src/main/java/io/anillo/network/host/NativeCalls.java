package io.anillo.network.host;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * The calls of libc that interfaces need. Each throws an {@link IOException} that says what failed
 * and why.
 */
final class NativeCalls {
  static final int WOULD_BLOCK = -11;
  private static final int INTERRUPTED = -4;
  private static final int DO_NOT_WAIT = 0x40;
  private static final int WAIT_FOR_ONE = 0x10000;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBC = LINKER.defaultLookup();
  private static final Linker.Option ERRNO = Linker.Option.captureCallState("errno");
  private static final VarHandle ERRNO_VALUE =
      Linker.Option.captureStateLayout().varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private static final MethodHandle OPEN =
      handle(
          "open",
          FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT),
          ERRNO,
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle IOCTL =
      handle(
          "ioctl",
          FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG),
          ERRNO,
          Linker.Option.firstVariadicArg(2));
  private static final MethodHandle SOCKET =
      handle("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT), ERRNO);
  private static final MethodHandle BIND =
      handle("bind", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT), ERRNO);
  private static final MethodHandle SET_OPTION =
      handle(
          "setsockopt",
          FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT),
          ERRNO);
  private static final MethodHandle INDEX =
      handle("if_nametoindex", FunctionDescriptor.of(JAVA_INT, ADDRESS), ERRNO);
  private static final MethodHandle CLOSE =
      handle("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT), ERRNO);
  private static final MethodHandle POLL =
      handle("poll", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT), ERRNO);
  private static final MethodHandle READ =
      handle("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG), ERRNO);
  private static final MethodHandle WRITE =
      handle("write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG), ERRNO);

  private static final MethodHandle SEND =
      handle(
          "send", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT), ERRNO);
  private static final MethodHandle RECEIVE_SEVERAL =
      handle(
          "recvmmsg",
          FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS),
          ERRNO);

  private NativeCalls() {}

  @SuppressWarnings("restricted")
  private static MethodHandle handle(
      String name, FunctionDescriptor descriptor, Linker.Option... options) {
    return LINKER.downcallHandle(LIBC.findOrThrow(name), descriptor, options);
  }

  /** A place for errno, one for each thread that makes calls. */
  static MemorySegment newState(Arena arena) {
    return arena.allocate(Linker.Option.captureStateLayout());
  }

  private static IllegalStateException unexpected(Throwable cause) {
    return new IllegalStateException("a native call threw", cause);
  }

  private static int check(String what, int result, MemorySegment state) throws IOException {
    if (result < 0) {
      int errno = (int) ERRNO_VALUE.get(state, 0L);
      String reason =
          switch (errno) {
            case 1, 13 -> "not permitted";
            case 2 -> "no such file";
            case 16 -> "busy";
            case 19 -> "no such device";
            case 95 -> "not supported";
            default -> "error " + errno;
          };
      throw new IOException(what + ": " + reason);
    }
    return result;
  }

  static int open(String path, int flags) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      int result = (int) OPEN.invokeExact(state, arena.allocateFrom(path), flags);
      return check("cannot open " + path, result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static void ioctl(String what, int descriptor, long request, long argument) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      check(what, (int) IOCTL.invokeExact(state, descriptor, request, argument), state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static int socket(int family, int type, int protocol) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      int result = (int) SOCKET.invokeExact(state, family, type, protocol);
      return check("cannot open a packet socket", result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static void bind(int descriptor, MemorySegment address) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      int result = (int) BIND.invokeExact(state, descriptor, address, (int) address.byteSize());
      check("cannot bind a packet socket", result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static void setOption(int descriptor, int level, int option, int value) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      MemorySegment holder = arena.allocateFrom(JAVA_INT, value);
      int result = (int) SET_OPTION.invokeExact(state, descriptor, level, option, holder, 4);
      check("cannot set socket option " + option, result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Sets an option of a socket that not everybody may set; whether it is set now. */
  static boolean tryOption(int descriptor, int level, int option, int value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment holder = arena.allocateFrom(JAVA_INT, value);
      return (int) SET_OPTION.invokeExact(newState(arena), descriptor, level, option, holder, 4)
          == 0;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Has a socket wait no longer for a message than so many milliseconds (SO_RCVTIMEO). */
  static void setReceiveTimeout(int descriptor, int millis) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      MemorySegment time = arena.allocateFrom(JAVA_LONG, millis / 1000, millis % 1000 * 1000);
      int result = (int) SET_OPTION.invokeExact(state, descriptor, 1, 20, time, 16);
      check("cannot set a socket's patience", result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Joins a packet membership (a struct packet_mreq), here promiscuous mode. */
  static void setMembership(int descriptor, MemorySegment request) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      int result =
          (int)
              SET_OPTION.invokeExact(state, descriptor, 263, 1, request, (int) request.byteSize());
      check("cannot make the interface promiscuous", result, state);
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static int interfaceIndex(String name) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = newState(arena);
      int index = (int) INDEX.invokeExact(state, arena.allocateFrom(name));
      if (index == 0) {
        throw new IOException("there is no interface \"" + name + "\"");
      }
      return index;
    } catch (IOException e) {
      throw e;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  static void close(int descriptor) {
    try (Arena arena = Arena.ofConfined()) {
      int ignored = (int) CLOSE.invokeExact(newState(arena), descriptor);
      assert ignored <= 0;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /**
   * Waits until the descriptor in {@code entry} (a struct pollfd) is readable; false after the
   * timeout.
   */
  static boolean poll(MemorySegment state, MemorySegment entry, int timeoutMillis) {
    try {
      return (int) POLL.invokeExact(state, entry, 1L, timeoutMillis) > 0;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Reads; the number of bytes, or the negative error number. */
  static int read(MemorySegment state, int descriptor, MemorySegment buffer) {
    try {
      long count;
      do {
        count = (long) READ.invokeExact(state, descriptor, buffer, buffer.byteSize());
        count = count < 0 ? -(int) ERRNO_VALUE.get(state, 0L) : count;
      } while (count == INTERRUPTED);
      return (int) count;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Writes; the number of bytes, or the negative error number. */
  static int write(MemorySegment state, int descriptor, MemorySegment buffer, long length) {
    try {
      long count = (long) WRITE.invokeExact(state, descriptor, buffer, length);
      return (int) (count < 0 ? -(int) ERRNO_VALUE.get(state, 0L) : count);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /**
   * Sends a message if that needs no waiting; the number of bytes, or the negative error number.
   */
  static int send(MemorySegment state, int descriptor, MemorySegment buffer, long length) {
    try {
      long count = (long) SEND.invokeExact(state, descriptor, buffer, length, DO_NOT_WAIT);
      return (int) (count < 0 ? -(int) ERRNO_VALUE.get(state, 0L) : count);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /**
   * Waits for a message and receives what else is there, at most {@code number} (an array of struct
   * mmsghdr); how many, or the negative error number.
   */
  static int receiveSeveral(
      MemorySegment state, int descriptor, MemorySegment messages, int number) {
    try {
      int count;
      do {
        count =
            (int)
                RECEIVE_SEVERAL.invokeExact(
                    state, descriptor, messages, number, WAIT_FOR_ONE, MemorySegment.NULL);
        count = count < 0 ? -(int) ERRNO_VALUE.get(state, 0L) : count;
      } while (count == INTERRUPTED);
      return count;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }
}
