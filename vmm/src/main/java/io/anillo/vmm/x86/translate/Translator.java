package io.anillo.vmm.x86.translate;

import io.anillo.vmm.host.CompilerThreads;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Compiles what the interpreter finds hot, on a thread of its own; the guest never waits for it.
 */
public final class Translator implements HotCode, AutoCloseable {
  /** Runs after which a block of code is worth compiling. */
  private static final int HOT_RUNS = 1000;

  /** Instructions a region takes. */
  private static final int INSTRUCTIONS = 150;

  /** HotSpot does not compile longer methods, unless it is told to. */
  private static final int METHOD_LIMIT = 7900;

  /** The fast compiler runs out of virtual registers on methods not much longer. */
  private static final int REQUESTED_METHOD_LIMIT = 14_000;

  /** Guest instructions after which the optimizing compiler is asked. */
  private static final long VERY_HOT = 10_000_000;

  private static final long WARM_UP_PAUSE_MICROS = 300;

  /** For so long, code that a region holds is expected to be entered through that region. */
  private static final long COVERED_NANOS = 100_000_000;

  /** Regions that HotSpot is asked for at a time, so that a hotter one need not wait long. */
  private static final int PENDING_LIMIT = 3;

  private static final int COVERED_LIMIT = 100_000;

  private final GuestMemory memory;
  private final RegionMachine machine;
  private final CodeLimit codeLimit;
  private final CodeCache codeCache;
  private volatile @Nullable TranslationProfile profile;
  private final LinkedBlockingQueue<Work> queue = new LinkedBlockingQueue<>();

  /** Asked for and not looked at yet; most of them never become hot enough. */
  private final List<Request> waiting = new ArrayList<>();

  private final List<Pending> pending = new ArrayList<>();
  private final List<Pending> refused = new ArrayList<>();
  private final List<Promotion> promoted = new ArrayList<>();

  /** When blocks became part of a region, by guest-physical address. */
  private final Map<Long, Long> covered = new HashMap<>();

  private final Thread thread;
  private final boolean immediate;
  private volatile boolean closed;
  private volatile @Nullable Throwable failure;
  private volatile long regions;
  private volatile long bytecodeBytes;
  private volatile long instructions;
  private volatile long nanos;
  private volatile long promotions;
  private volatile long refusals;

  private sealed interface Work {}

  private record Request(Site site, CodeHints hints) implements Work {}

  private record VeryHot(Translation translation) implements Work {}

  private record Made(Translation translation, Snapshot snapshot, long[] chunks, int instructions) {
    boolean install() {
      return snapshot.install(translation.code(), chunks);
    }
  }

  private record Pending(Made made, Request request, WarmUp warmUp) {}

  /**
   * What translation has cost.
   *
   * @param instructions guest instructions in all regions, those in several counted as often
   * @param promotions regions that the optimizing compiler was asked for
   * @param refusals regions that HotSpot did not compile; tried again half as large
   * @param keptBytes class files of the regions that can run
   * @param evictions regions given up since there were too many
   */
  public record Metrics(
      long regions,
      long instructions,
      long bytecodeBytes,
      long nanos,
      long promotions,
      long refusals,
      long keptBytes,
      long evictions) {}

  private Translator(GuestMemory memory, CodeCache codeCache, boolean ordered, boolean immediate) {
    this.memory = memory;
    this.machine = new RegionMachine(memory, codeCache.translations(), ordered);
    this.codeLimit = new CodeLimit(codeCache);
    this.codeCache = codeCache;
    this.immediate = immediate;
    this.thread = Thread.ofPlatform().name("translator").daemon(true).unstarted(this::work);
  }

  /**
   * A translator that compiles on a thread of its own.
   *
   * @param processors how many run the code
   */
  public static Translator background(GuestMemory memory, CodeCache codeCache, int processors) {
    Translator translator = new Translator(memory, codeCache, processors > 1, false);
    translator.thread.start();
    return translator;
  }

  /** A translator that compiles all code before it runs, for tests. */
  public static Translator immediate(GuestMemory memory, CodeCache codeCache, int processors) {
    return new Translator(memory, codeCache, processors > 1, true);
  }

  /**
   * Uses what earlier runs of the same code learned, and takes note for later ones; before the
   * machine runs.
   *
   * @param file need not exist
   */
  public void useProfile(Path file) {
    TranslationProfile loaded = TranslationProfile.load(file, threshold());
    profile = loaded;
    codeCache.setProfile(loaded);
  }

  /** Writes the profile, where one is used. */
  public void saveProfile(Path file) throws IOException {
    TranslationProfile used = profile;
    if (used != null) {
      used.save(file);
    }
  }

  /** Runs after which a block of code is to be offered; 0 for all code at once. */
  public int threshold() {
    return immediate ? 0 : HOT_RUNS;
  }

  @Override
  public void request(Site site, CodeHints hints) {
    if (immediate) {
      makeNow(site, hints);
    } else {
      queue.add(new Request(site, hints));
    }
  }

  private synchronized void makeNow(Site site, CodeHints hints) {
    Made made = make(site, hints, INSTRUCTIONS);
    if (made != null && made.install()) {
      codeLimit.installed(made.translation);
    }
  }

  /**
   * Changes how much code is kept.
   *
   * @param bytes of class files; the oldest regions go when there are more
   */
  public void limitCode(long bytes) {
    codeLimit.limit(bytes);
  }

  private void veryHot(Translation translation) {
    queue.add(new VeryHot(translation));
  }

  /** What stopped translation, if anything did: a fault of the monitor. */
  public Optional<Throwable> failure() {
    return Optional.ofNullable(failure);
  }

  public Metrics metrics() {
    return new Metrics(
        regions,
        instructions,
        bytecodeBytes,
        nanos,
        promotions,
        refusals,
        codeLimit.keptBytes(),
        codeLimit.evictions());
  }

  private void work() {
    CompilerThreads.yieldToOthers();
    try {
      while (!closed) {
        Work work =
            pending.isEmpty() && waiting.isEmpty() && promoted.isEmpty()
                ? queue.take()
                : pending.size() < PENDING_LIMIT && !waiting.isEmpty()
                    ? queue.poll()
                    : queue.poll(WARM_UP_PAUSE_MICROS, TimeUnit.MICROSECONDS);
        while (work != null) {
          switch (work) {
            case Request request -> waiting.add(request);
            case VeryHot veryHot -> promote(veryHot.translation);
          }
          work = queue.poll();
        }
        pending.removeIf(this::advance);
        retryRefused();
        promoted.removeIf(Promotion::advance);
        if (pending.size() < PENDING_LIMIT && !waiting.isEmpty()) {
          translate(hottest());
        }
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

  /** Takes the request whose code has run most since: what runs longest gains most. */
  private Request hottest() {
    int best = 0;
    for (int i = 1; i < waiting.size(); i++) {
      if (waiting.get(i).site.heat() > waiting.get(best).site.heat()) {
        best = i;
      }
    }
    Request request = waiting.get(best);
    waiting.set(best, waiting.getLast());
    waiting.removeLast();
    return request;
  }

  private void translate(Request request) {
    if (!request.site.current()) {
      return;
    }
    if (isCovered(request.hints.physical())) {
      request.site.rearm();
      return;
    }
    make(request, INSTRUCTIONS);
  }

  private void make(Request request, int most) {
    Made made = make(request.site, request.hints, most);
    if (made != null) {
      pending.add(new Pending(made, request, WarmUp.of(made.translation)));
    }
  }

  private boolean isCovered(long physical) {
    Long since = covered.remove(physical);
    return since != null && System.nanoTime() - since < COVERED_NANOS;
  }

  /** Looks after a region that HotSpot was asked for; returns whether it is dealt with. */
  private boolean advance(Pending each) {
    Site site = each.request.site;
    if (!site.current()) {
      return true;
    }
    switch (each.warmUp.advance()) {
      case GOING_ON -> {
        return false;
      }
      case REFUSED -> refused.add(each);
      case DONE -> {
        CompiledCode code = each.made.translation.code();
        if (HotSpotCompilers.ofThisMachine().isPresent()) {
          code.promoteAt(VERY_HOT, () -> veryHot(each.made.translation));
        }
        if (each.made.install()) {
          codeLimit.installed(each.made.translation);
        } else {
          site.rearm();
        }
      }
    }
    return true;
  }

  /** What HotSpot did not compile is tried again, half as large. */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private void retryRefused() {
    for (Pending each : refused) {
      refusals++;
      int half = each.made.instructions / 2;
      if (half > 0) {
        make(each.request, half);
      }
    }
    refused.clear();
  }

  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private void promote(Translation translation) {
    Optional<HotSpotCompilers> compilers = HotSpotCompilers.ofThisMachine();
    if (!translation.code().valid || compilers.isEmpty()) {
      return;
    }
    promoted.add(new Promotion(compilers.get(), translation));
    promotions++;
  }

  /**
   * Compiles the region of an entry, now. HotSpot has not seen it yet.
   *
   * @param most instructions
   * @return null where no instruction can be decoded
   */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private @Nullable Made make(Site site, CodeHints hints, int most) {
    long start = System.nanoTime();
    int longest =
        HotSpotCompilers.ofThisMachine().isPresent() ? REQUESTED_METHOD_LIMIT : METHOD_LIMIT;
    for (int limit = most; limit > 0; limit /= 2) {
      Region region = RegionBuilder.build(memory, hints, limit);
      if (region == null) {
        return null;
      }
      Snapshot snapshot = site.snapshot(region.pages.stream().map(RegionPage::physical).toList());
      if (!region.isCurrent(memory)) {
        return null;
      }
      RegionCompiler compiler = new RegionCompiler(region, machine);
      byte[] bytes = compiler.compile();
      if (bytes.length > longest && RegionCompiler.methodBytes(bytes) > longest) {
        continue;
      }
      Translation translation = Translation.load(bytes, machine);
      translation.code().complete(compiler.fallbacks(), region.instructions());
      cover(region);
      TranslationProfile used = profile;
      if (used != null) {
        used.note(region);
      }
      regions++;
      instructions += region.instructions();
      bytecodeBytes += bytes.length;
      nanos += System.nanoTime() - start;
      return new Made(translation, snapshot, region.chunks(), region.instructions());
    }
    return null;
  }

  private void cover(Region region) {
    if (covered.size() > COVERED_LIMIT) {
      covered.clear();
    }
    long now = System.nanoTime();
    for (RegionBlock block : region.blocks) {
      if (block.activation.caller() == null && block != region.entry) {
        covered.put(region.pageOf(block.start).physical() | block.start & 4095, now);
      }
    }
  }

  /** Ends the thread, which reads guest memory: that may be released afterwards. */
  @Override
  public void close() {
    closed = true;
    thread.interrupt();
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
