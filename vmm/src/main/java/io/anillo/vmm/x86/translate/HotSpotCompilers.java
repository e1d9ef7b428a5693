package io.anillo.vmm.x86.translate;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Asks HotSpot's compilers for what they would otherwise do only after many slow runs, through the
 * interface that it has for its own tests. Present where the virtual machine was started with it,
 * as {@code ./anillo} does; see {@code docs/decisions/0007-compile-on-request.md}.
 */
final class HotSpotCompilers {
  /** HotSpot's levels: the fast compiler without profiling, the optimizing compiler. */
  static final int FAST = 1, OPTIMIZING = 4;

  private static final String NAME = "jdk.test.whitebox.WhiteBox";
  private static final Optional<HotSpotCompilers> FOUND = find();

  private final ExecutorService optimizing =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().name("waiting for optimized code").daemon(true).factory());

  private final MethodHandle enqueue;
  private final MethodHandle profile;
  private final MethodHandle level;
  private final MethodHandle queued;
  private final MethodHandle queueSize;
  private final boolean verifies;

  private HotSpotCompilers(
      MethodHandle enqueue,
      MethodHandle profile,
      MethodHandle level,
      MethodHandle queued,
      MethodHandle queueSize,
      boolean verifies) {
    this.enqueue = enqueue;
    this.profile = profile;
    this.level = level;
    this.queued = queued;
    this.queueSize = queueSize;
    this.verifies = verifies;
  }

  /** The compilers of this virtual machine, if it lets itself be asked. */
  static Optional<HotSpotCompilers> ofThisMachine() {
    return FOUND;
  }

  private static Optional<HotSpotCompilers> find() {
    try {
      Class<?> type = Class.forName(NAME, true, null);
      Object box = type.getConstructor().newInstance();
      MethodHandles.Lookup lookup = MethodHandles.publicLookup();
      HotSpotCompilers found =
          new HotSpotCompilers(
              lookup.bind(
                  box,
                  "enqueueMethodForCompilation0",
                  MethodType.methodType(boolean.class, Executable.class, int.class, int.class)),
              lookup.bind(
                  box, "markMethodProfiled", MethodType.methodType(void.class, Executable.class)),
              lookup.bind(
                  box,
                  "getMethodCompilationLevel0",
                  MethodType.methodType(int.class, Executable.class, boolean.class)),
              lookup.bind(
                  box,
                  "isMethodQueuedForCompilation0",
                  MethodType.methodType(boolean.class, Executable.class)),
              lookup.bind(box, "getCompileQueueSize", MethodType.methodType(int.class, int.class)),
              flag(lookup, box, "BytecodeVerificationRemote"));
      // Where HotSpot did not bind the methods, the first call says so.
      Method any = HotSpotCompilers.class.getDeclaredMethod("find");
      found.level(any);
      found.profile(any);
      return Optional.of(found);
    } catch (ReflectiveOperationException | LinkageError e) {
      return Optional.empty(); // this virtual machine was started without
    }
  }

  private static boolean flag(MethodHandles.Lookup lookup, Object box, String name)
      throws ReflectiveOperationException {
    MethodHandle get =
        lookup.bind(box, "getBooleanVMFlag", MethodType.methodType(Boolean.class, String.class));
    try {
      return (Boolean) get.invokeExact(name);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Whether classes are verified when they are loaded, as they are by default. */
  boolean verifies() {
    return verifies;
  }

  /**
   * Asks for a method to be compiled by the optimizing compiler, one at a time. Where HotSpot was
   * told not to compile it in the background ({@code tools/compiler-directives.json}), it goes
   * before what HotSpot thought of by itself, as somebody waits for it; here that is a thread of
   * its own.
   *
   * @return done when the request is dealt with, or waits at HotSpot: {@link #isQueued}
   */
  Future<Boolean> optimize(Method method) {
    return optimizing.submit(() -> request(method, OPTIMIZING));
  }

  /** Asks for a method to be compiled; returns whether it will be. */
  boolean request(Method method, int wanted) {
    try {
      return (boolean) enqueue.invokeExact((Executable) method, wanted, -1);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Has the ways that a method takes counted, in HotSpot's interpreter: what the optimizing
   * compiler wants to know, without the fast compiler's work for that.
   */
  void profile(Method method) {
    try {
      profile.invokeExact((Executable) method);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** The level at which a method is compiled, 0 where it is not. */
  int level(Method method) {
    try {
      return (int) level.invokeExact((Executable) method, false);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  boolean isQueued(Method method) {
    try {
      return (boolean) queued.invokeExact((Executable) method);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Whether a request for a level would be the next to be looked at. */
  boolean isIdle(int wanted) {
    try {
      return (int) queueSize.invokeExact(wanted) == 0;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
