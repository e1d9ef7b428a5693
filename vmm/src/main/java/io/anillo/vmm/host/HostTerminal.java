package io.anillo.vmm.host;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Objects;
import java.util.Optional;

/**
 * The terminal at this process's standard input, which can be put into raw mode and back
 * (termios(3)).
 *
 * <p>The settings are kept as the bytes that the C library gave, so nothing here depends on their
 * layout. Calls may come from any thread, from a shutdown hook too.
 */
public final class HostTerminal {

  /** Larger than {@code struct termios} of any system. */
  private static final int TERMIOS_BYTES = 256;

  private static final int STANDARD_INPUT = 0;

  /** The file descriptor of standard error, for {@link #isAt}. */
  public static final int STANDARD_ERROR = 2;

  private static final int APPLY_AFTER_OUTPUT = 1;
  private static final long LINUX_TIOCGWINSZ = 0x5413;

  private final Settings settings;
  private final MemorySegment original;
  private boolean raw;

  /** The calls that read and change a terminal's settings. */
  private record Settings(MethodHandle get, MethodHandle set, MethodHandle makeRaw) {
    static final Optional<Settings> OF_HOST = find();

    private static Optional<Settings> find() {
      Linker linker = Linker.nativeLinker();
      Optional<MemorySegment> get = linker.defaultLookup().find("tcgetattr");
      Optional<MemorySegment> set = linker.defaultLookup().find("tcsetattr");
      Optional<MemorySegment> makeRaw = linker.defaultLookup().find("cfmakeraw");
      if (get.isEmpty() || set.isEmpty() || makeRaw.isEmpty()) {
        return Optional.empty();
      }
      return Optional.of(
          new Settings(
              linker.downcallHandle(
                  get.get(),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.ADDRESS)),
              linker.downcallHandle(
                  set.get(),
                  FunctionDescriptor.of(
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_INT,
                      ValueLayout.JAVA_INT,
                      ValueLayout.ADDRESS)),
              linker.downcallHandle(
                  makeRaw.get(), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS))));
    }
  }

  /** Rows and columns. */
  public record Size(int rows, int columns) {}

  private HostTerminal(Settings settings, MemorySegment original) {
    this.settings = settings;
    this.original = original;
  }

  /** Whether a file descriptor of this process is a terminal. */
  public static boolean isAt(int fileDescriptor) {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> isatty = linker.defaultLookup().find("isatty");
    if (isatty.isEmpty()) {
      return false;
    }
    MethodHandle call =
        linker.downcallHandle(
            isatty.get(), FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    try {
      return (int) call.invokeExact(fileDescriptor) == 1;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** The terminal, or nothing when standard input is none or the host has no termios. */
  public static Optional<HostTerminal> open() {
    Optional<Settings> settings = Settings.OF_HOST;
    if (settings.isEmpty()) {
      return Optional.empty();
    }
    MemorySegment original = Arena.global().allocate(TERMIOS_BYTES);
    try {
      if ((int) settings.get().get.invokeExact(STANDARD_INPUT, original) != 0) {
        return Optional.empty();
      }
    } catch (Throwable e) {
      throw unexpected(e);
    }
    return Optional.of(new HostTerminal(settings.get(), original));
  }

  /** Links the calls of {@link #open}, which takes a while, once. */
  public static void prepare() {
    Objects.requireNonNull(Settings.OF_HOST);
  }

  /** Hands every key to the reader as it is typed; nothing is echoed, and no key is a signal. */
  public synchronized void enterRawMode() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment changed = arena.allocate(TERMIOS_BYTES).copyFrom(original);
      this.settings.makeRaw.invokeExact(changed);
      apply(changed);
      raw = true;
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /**
   * Puts the terminal back to what it was when it was opened. May be called any number of times.
   */
  public synchronized void restore() {
    if (!raw) {
      return;
    }
    raw = false;
    try {
      apply(original);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private void apply(MemorySegment changed) throws Throwable {
    int status = (int) settings.set.invokeExact(STANDARD_INPUT, APPLY_AFTER_OUTPUT, changed);
    if (status != 0) {
      // The terminal has gone, with whoever sat before it.
      raw = false;
    }
  }

  /** The terminal's size, where the host tells it. */
  public Optional<Size> size() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> ioctl = linker.defaultLookup().find("ioctl");
    if (ioctl.isEmpty() || !System.getProperty("os.name").equals("Linux")) {
      return Optional.empty();
    }
    MethodHandle call =
        linker.downcallHandle(
            ioctl.get(),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.ADDRESS),
            Linker.Option.firstVariadicArg(2));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(8);
      if ((int) call.invokeExact(STANDARD_INPUT, LINUX_TIOCGWINSZ, size) != 0) {
        return Optional.empty();
      }
      int rows = size.get(ValueLayout.JAVA_SHORT, 0) & 0xFFFF;
      int columns = size.get(ValueLayout.JAVA_SHORT, 2) & 0xFFFF;
      return rows == 0 || columns == 0 ? Optional.empty() : Optional.of(new Size(rows, columns));
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
