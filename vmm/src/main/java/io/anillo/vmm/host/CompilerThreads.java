package io.anillo.vmm.host;

import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The threads of HotSpot's compilers, seen from the host: they run beside guests, and what matters
 * least should not take the processors away from the rest.
 */
public final class CompilerThreads {
  /**
   * Niceness of the optimizing compiler: about a tenth of the share of a thread of 0 where both
   * want one processor. What it makes is worth waiting for; code that waits for the fast compiler
   * is interpreted meanwhile.
   */
  private static final int NICENESS = 10;

  private static final String OPTIMIZING = "C2 Compiler";

  private static final int PRIO_PROCESS = 0;
  private static final Path TASKS = Path.of("/proc/self/task");

  private CompilerThreads() {}

  /**
   * Lets all other threads of this process go before the optimizing compiler, where the host is
   * Linux; elsewhere does nothing. Threads that HotSpot starts later are not seen.
   */
  public static void yieldToOthers() {
    Linker linker = Linker.nativeLinker();
    Optional<MemorySegment> found = linker.defaultLookup().find("setpriority");
    if (found.isEmpty() || !Files.isDirectory(TASKS)) {
      return;
    }
    MethodHandle setPriority =
        linker.downcallHandle(
            found.get(),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT));
    try (DirectoryStream<Path> tasks = Files.newDirectoryStream(TASKS)) {
      for (Path task : tasks) {
        String name = Files.readString(task.resolve("comm"));
        if (name.startsWith(OPTIMIZING)) {
          int id = Integer.parseInt(String.valueOf(task.getFileName()));
          int result = (int) setPriority.invokeExact(PRIO_PROCESS, id, NICENESS);
          if (result != 0) {
            return; // the host does not allow it: they stay as they are
          }
        }
      }
    } catch (IOException e) {
      return; // a thread ended meanwhile, or the host hides them: they stay as they are
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
