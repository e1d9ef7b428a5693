package io.anillo.vmm.host;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The threads of HotSpot's optimizing compiler, seen from the host: they run beside guests, and
 * what matters least should not take the processors away from the rest. On hosts that are not
 * Linux, or do not allow it, nothing changes.
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

  /** Policies of {@code sched_setscheduler}, see sched(7). */
  private static final int SCHED_OTHER = 0, SCHED_IDLE = 5;

  private static final Path TASKS = Path.of("/proc/self/task");

  private final List<Integer> threads;
  private final Optional<MethodHandle> setScheduler;

  private CompilerThreads(List<Integer> threads, Optional<MethodHandle> setScheduler) {
    this.threads = threads;
    this.setScheduler = setScheduler;
  }

  /**
   * Finds the threads there are, and lets all others of this process go before them. Threads that
   * HotSpot starts later are not seen.
   */
  public static CompilerThreads yieldingToOthers() {
    Linker linker = Linker.nativeLinker();
    Optional<MethodHandle> setPriority = link(linker, "setpriority", ValueLayout.JAVA_INT);
    if (setPriority.isEmpty() || !Files.isDirectory(TASKS)) {
      return new CompilerThreads(List.of(), Optional.empty());
    }
    List<Integer> found = find();
    for (int thread : found) {
      if (call(setPriority.get(), PRIO_PROCESS, thread, NICENESS) != 0) {
        return new CompilerThreads(List.of(), Optional.empty());
      }
    }
    return new CompilerThreads(
        found,
        link(linker, "sched_setscheduler", ValueLayout.ADDRESS)
            .filter(CompilerThreads::canBeUndone));
  }

  private static List<Integer> find() {
    List<Integer> found = new ArrayList<>();
    try (DirectoryStream<Path> tasks = Files.newDirectoryStream(TASKS)) {
      for (Path task : tasks) {
        if (nameOf(task).startsWith(OPTIMIZING)) {
          found.add(Integer.parseInt(String.valueOf(task.getFileName())));
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      return List.of(); // hidden by the host: they stay as they are
    }
    return found;
  }

  private static String nameOf(Path task) {
    try {
      return Files.readString(task.resolve("comm"));
    } catch (IOException e) {
      return ""; // the thread ended meanwhile
    }
  }

  private static Optional<MethodHandle> link(Linker linker, String name, MemoryLayout last) {
    return linker
        .defaultLookup()
        .find(name)
        .map(address ->
            linker.downcallHandle(
                address,
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, last)));
  }

  private static int call(MethodHandle function, int first, int second, int third) {
    try {
      return (int) function.invokeExact(first, second, third);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Lets the threads run only where a processor has nothing else to do. */
  public void rest() {
    setPolicy(SCHED_IDLE);
  }

  /** Ends {@link #rest}. */
  public void goOn() {
    setPolicy(SCHED_OTHER);
  }

  private void setPolicy(int policy) {
    setScheduler.ifPresent(
        function -> threads.forEach(thread -> setPolicy(function, thread, policy)));
  }

  /**
   * Whether the host lets a thread rest and go on again, which may need a privilege. Tried with a
   * thread of its own.
   */
  private static boolean canBeUndone(MethodHandle setScheduler) {
    boolean[] result = new boolean[1];
    Thread probe =
        new Thread(() ->
            result[0] =
                setPolicy(setScheduler, 0, SCHED_IDLE) && setPolicy(setScheduler, 0, SCHED_OTHER));
    probe.start();
    try {
      probe.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
    return result[0];
  }

  private static boolean setPolicy(MethodHandle setScheduler, int thread, int policy) {
    try (Arena arena = Arena.ofConfined()) {
      // struct sched_param: the priority, 0 for these policies.
      MemorySegment parameters = arena.allocate(ValueLayout.JAVA_INT);
      return (int) setScheduler.invokeExact(thread, policy, parameters) == 0;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
