package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Compiles what the interpreter finds hot, on a thread of its own; the guest never waits for it.
 */
public final class Translator implements HotCode, AutoCloseable {
  /** Runs after which a block of code is worth compiling. */
  public static final int HOT_RUNS = 3000;

  /** Instructions a region takes at first; halved while its method is too long for HotSpot. */
  private static final int INSTRUCTIONS = 250;

  /** HotSpot does not compile longer methods. */
  private static final int METHOD_LIMIT = 7900;

  private static final long WARM_UP_PAUSE_MICROS = 500;

  private final RegionBuilder builder;
  private final LinkedBlockingQueue<Request> queue = new LinkedBlockingQueue<>();
  private final List<WarmUp> warming = new ArrayList<>();
  private final Thread thread;
  private final boolean immediate;
  private volatile boolean closed;
  private volatile @Nullable Throwable failure;
  private volatile long regions;
  private volatile long bytecodeBytes;
  private volatile long instructions;
  private volatile long nanos;

  private record Request(Site site, long physical) {}

  /**
   * What translation has cost.
   *
   * @param instructions guest instructions in all regions, those in several counted as often
   */
  public record Metrics(long regions, long instructions, long bytecodeBytes, long nanos) {}

  private Translator(GuestMemory memory, boolean immediate) {
    this.builder = new RegionBuilder(memory);
    this.immediate = immediate;
    this.thread = Thread.ofPlatform().name("translator").daemon(true).unstarted(this::work);
  }

  /** A translator that compiles on a thread of its own. */
  public static Translator background(GuestMemory memory) {
    Translator translator = new Translator(memory, false);
    translator.thread.start();
    return translator;
  }

  /**
   * A translator that compiles what it is asked for at once, for tests: with one processor only.
   */
  public static Translator immediate(GuestMemory memory) {
    return new Translator(memory, true);
  }

  @Override
  public void request(Site site, long physical) {
    if (!immediate) {
      queue.add(new Request(site, physical));
      return;
    }
    CompiledCode code = compile(physical);
    if (code != null) {
      site.install(code);
    }
  }

  /** What stopped translation, if anything did: a fault of the monitor. */
  public java.util.Optional<Throwable> failure() {
    return java.util.Optional.ofNullable(failure);
  }

  public Metrics metrics() {
    return new Metrics(regions, instructions, bytecodeBytes, nanos);
  }

  private void work() {
    try {
      while (!closed) {
        Request request =
            warming.isEmpty()
                ? queue.take()
                : queue.poll(WARM_UP_PAUSE_MICROS, TimeUnit.MICROSECONDS);
        if (request != null && request.site.current()) {
          translate(request);
        }
        warming.removeIf(WarmUp::advance);
      }
    } catch (InterruptedException e) {
      // closed
    } catch (RuntimeException | Error e) {
      // The guest goes on interpreted; whoever runs the machine finds the failure.
      failure = e;
      System.getLogger(Translator.class.getName())
          .log(System.Logger.Level.ERROR, "translation stopped", e);
    }
  }

  private void translate(Request request) {
    CompiledCode code = compile(request.physical);
    if (code != null) {
      warming.add(new WarmUp(code, request.site));
    }
  }

  /**
   * Compiles the region of an entry, now. HotSpot has not seen it yet.
   *
   * @param physical guest-physical address of the entry
   * @return null where no instruction can be decoded
   */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private @Nullable CompiledCode compile(long physical) {
    long start = System.nanoTime();
    int entry = (int) physical & 4095;
    for (int limit = INSTRUCTIONS; limit > 0; limit /= 2) {
      List<RegionBlock> blocks = builder.build(physical, limit);
      if (blocks.stream().noneMatch(block -> block.start == entry)) {
        return null;
      }
      RegionCompiler compiler = new RegionCompiler(blocks, entry);
      byte[] bytes = compiler.compile();
      if (methodBytes(bytes) > METHOD_LIMIT) {
        continue;
      }
      CompiledCode code = define(bytes);
      code.complete(compiler.fallbacks(), compiler.longestPath());
      regions++;
      instructions += compiler.longestPath();
      bytecodeBytes += bytes.length;
      nanos += System.nanoTime() - start;
      return code;
    }
    return null;
  }

  private static int methodBytes(byte[] classFile) {
    int longest = 0;
    for (MethodModel method : ClassFile.of().parse(classFile).methods()) {
      longest =
          Math.max(
              longest,
              method.findAttribute(Attributes.code()).map(CodeAttribute::codeLength).orElse(0));
    }
    return longest;
  }

  private static CompiledCode define(byte[] bytes) {
    try {
      MethodHandles.Lookup lookup = MethodHandles.lookup().defineHiddenClass(bytes, true);
      MethodHandle constructor =
          lookup.findConstructor(lookup.lookupClass(), MethodType.methodType(void.class));
      return (CompiledCode) constructor.invoke();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("generated code is refused", e);
    }
  }

  @Override
  public void close() {
    closed = true;
    thread.interrupt();
  }
}
