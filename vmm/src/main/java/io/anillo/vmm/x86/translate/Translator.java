package io.anillo.vmm.x86.translate;

import io.anillo.vmm.host.CompilerThreads;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.interpret.CodeCache;
import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import io.anillo.vmm.x86.translate.HottestFirst.Request;
import io.anillo.vmm.x86.translate.RegionBuilder.Shape;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Compiles what the interpreter finds hot, on a thread of its own; the guest never waits for it.
 */
public final class Translator implements HotCode, AutoCloseable {
  /** Runs after which a block of code is worth compiling. */
  private static final int HOT_RUNS = 1000;

  /** Between two looks at what waits, when nothing of that runs. */
  private static final long LOOK_PAUSE_MICROS = 3_000;

  /** Instructions a region takes. */
  private static final int INSTRUCTIONS = 150;

  /**
   * Class files kept when all code is compiled, in bytes: what was given up would have to be
   * compiled again before it could run, and a booting kernel goes through 330 MB of it.
   */
  private static final long IMMEDIATE_KEPT_BYTES = 1L << 30;

  /** HotSpot does not compile longer methods, unless it is told to. */
  private static final int METHOD_LIMIT = 7900;

  /** The fast compiler runs out of virtual registers on methods not much longer. */
  private static final int REQUESTED_METHOD_LIMIT = 14_000;

  /** Guest instructions after which the optimizing compiler is asked. */
  private static final long VERY_HOT = 4_000_000;

  /** As {@link #VERY_HOT}, for code that was as hot before, and then did not run. */
  private static final long RUNS_AGAIN = 1_000_000;

  /** Very hot code that is looked after at a time, so that a hotter one need not wait long. */
  private static final int PROMOTION_LIMIT = 3;

  /** For so long, code in a wide region is expected to be entered through that region soon. */
  private static final long WIDE_COVERED_NANOS = 2_000_000_000;

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

  /** Asked for and not looked at yet. */
  private final HottestFirst waiting = new HottestFirst();

  private final List<Pending> pending = new ArrayList<>();
  private final List<Pending> refused = new ArrayList<>();
  private final VeryHotCode veryHot =
      new VeryHotCode(
          idle -> promoteWhenRun(idle.request, idle.code, RUNS_AGAIN), System::nanoTime);
  private final List<Promotion> promoted = new ArrayList<>();

  private final Enclosing enclosing = new Enclosing();

  /** When blocks became part of a region, by guest-physical address. */
  private final Map<Long, Long> covered = new HashMap<>();

  /** As {@link #covered}, of wide regions. */
  private final Map<Long, Long> coveredWide = new HashMap<>();

  /** Entries of code in which arithmetic often meets unusual values, by guest-physical address. */
  private final Set<Long> unusual = new HashSet<>();

  private final Thread thread;
  private final boolean immediate;
  private volatile boolean unusualEverywhere;
  private volatile boolean closed;
  private volatile @Nullable Throwable failure;
  private volatile long regions;
  private volatile long bytecodeBytes;
  private volatile long instructions;
  private volatile long nanos;
  private volatile long promotions;
  private volatile long refusals;

  private sealed interface Work {}

  private record Offered(Request request) implements Work {}

  /** Code that often meets unusual values. */
  private record Unusual(long physical, CompiledCode code) implements Work {}

  private record VeryHot(VeryHotCode.Entry entry) implements Work {}

  private record Made(Translation translation, Snapshot snapshot, long[] chunks, int instructions) {
    boolean install() {
      return snapshot.install(translation.code(), chunks);
    }
  }

  /**
   * A region that HotSpot compiles.
   *
   * @param before what it is to run instead of, if anything
   */
  private record Pending(
      Made made, Request request, WarmUp warmUp, @Nullable CompiledCode before) {}

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
    if (immediate) {
      codeLimit.limit(IMMEDIATE_KEPT_BYTES);
    }
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
      queue.add(new Offered(new Request(site, hints)));
    }
  }

  private synchronized void makeNow(Site site, CodeHints hints) {
    Made made =
        make(new Request(site, hints), Shape.WIDE, new PageGuess(hints.registers()), INSTRUCTIONS);
    if (made != null && made.install()) {
      codeLimit.installed(made.translation);
    }
  }

  /**
   * From now on code is made that calculates with unusual values, denormal numbers or NaNs, itself.
   * Otherwise that is so only where the optimizing compiler is not asked, or where such values were
   * met.
   */
  public void expectUnusualValues() {
    unusualEverywhere = true;
  }

  /**
   * Changes how much code is kept.
   *
   * @param bytes of class files; the oldest regions go when there are more
   */
  public void limitCode(long bytes) {
    codeLimit.limit(bytes);
  }

  private void promoteWhenRun(Request request, CompiledCode code, long instructions) {
    code.promoteAt(
        code.retired() + instructions,
        () ->
            queue.add(
                new VeryHot(new VeryHotCode.Entry(request, code, request.hints().registers()))));
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
    CompilerThreads optimizing = CompilerThreads.yieldingToOthers();
    OptimizerShare share = new OptimizerShare(optimizing::rest, optimizing::goOn, System::nanoTime);
    try {
      boolean busy = false;
      while (!closed) {
        share.update(busy || !pending.isEmpty());
        Work work = busy ? queue.poll() : await(share.isResting());
        while (work != null) {
          switch (work) {
            case Offered offered -> waiting.add(offered.request, HOT_RUNS);
            case Unusual found -> expectUnusual(found);
            case VeryHot hot -> veryHot.add(hot.entry);
          }
          work = queue.poll();
        }
        pending.removeIf(this::advance);
        retryRefused();
        promoted.removeIf(this::advance);
        VeryHotCode.Entry hot = promoted.size() < PROMOTION_LIMIT ? veryHot.take() : null;
        if (hot != null) {
          promote(hot);
        }
        Request next = pending.size() < PENDING_LIMIT ? waiting.take() : null;
        busy = next != null;
        if (next != null) {
          translate(next);
        }
      }
    } catch (InterruptedException e) {
      // closed
    } catch (RuntimeException | Error e) {
      // The guest goes on interpreted; whoever runs the machine finds the failure.
      failure = e;
      System.getLogger(Translator.class.getName())
          .log(System.Logger.Level.ERROR, "translation stopped", e);
    } finally {
      share.end();
    }
  }

  /**
   * Waits for something to do, or until what is going on is to be looked after again.
   *
   * @param soon whether there is something to do soon in any case
   */
  private @Nullable Work await(boolean soon) throws InterruptedException {
    if (!pending.isEmpty() || !promoted.isEmpty()) {
      return queue.poll(WARM_UP_PAUSE_MICROS, TimeUnit.MICROSECONDS);
    }
    return waiting.isEmpty() && veryHot.isEmpty() && !soon
        ? queue.take()
        : queue.poll(LOOK_PAUSE_MICROS, TimeUnit.MICROSECONDS);
  }

  private void translate(Request request) {
    if (!request.site().current()) {
      return;
    }
    if (isCovered(covered, request.hints().physical(), COVERED_NANOS)) {
      request.site().rearm();
      return;
    }
    make(request, INSTRUCTIONS, null);
  }

  private void make(Request request, int most, @Nullable CompiledCode before) {
    Made made = make(request, Shape.PLAIN, PageGuess.NONE, most);
    if (made != null) {
      pending.add(new Pending(made, request, WarmUp.of(made.translation), before));
    }
  }

  private static boolean isCovered(Map<Long, Long> covered, long physical, long nanos) {
    Long since = covered.remove(physical);
    return since != null && System.nanoTime() - since < nanos;
  }

  /** Looks after a region that HotSpot was asked for; returns whether it is dealt with. */
  private boolean advance(Pending each) {
    Site site = each.request.site();
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
          promoteWhenRun(each.request, code, VERY_HOT);
        }
        if (each.made.install()) {
          codeLimit.installed(each.made.translation);
          if (each.before != null) {
            codeLimit.replaced(each.before);
          }
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
        make(each.request, half, each.before);
      }
    }
    refused.clear();
  }

  /** Makes a wide region of the place, for the optimizing compiler. */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private void promote(VeryHotCode.Entry hot) {
    Optional<HotSpotCompilers> compilers = HotSpotCompilers.ofThisMachine();
    Request request = hot.request;
    if (!hot.code.valid || !request.site().current() || compilers.isEmpty()) {
      return;
    }
    Long since = coveredWide.get(request.hints().physical());
    if (since != null && System.nanoTime() - since < WIDE_COVERED_NANOS) {
      promoteWhenRun(request, hot.code, VERY_HOT);
      return;
    }
    Made made = make(request, Shape.WIDE, new PageGuess(hot.registers), INSTRUCTIONS);
    if (made != null) {
      promoted.add(
          new Promotion(compilers.get(), request, hot.code, made.translation, made::install));
      promotions++;
    }
  }

  /** Looks after very hot code; returns whether it is dealt with. */
  private boolean advance(Promotion promotion) {
    switch (promotion.advance()) {
      case GOING_ON -> {
        return false;
      }
      case DONE -> {
        codeLimit.installed(promotion.second());
        codeLimit.replaced(promotion.first());
        promotion.second().code().optimized();
        makeAgain(promotion.request().hints().physical());
      }
      case COLD -> {
        giveUp(promotion);
        promoteWhenRun(promotion.request(), promotion.first(), VERY_HOT);
      }
      case GIVEN_UP -> giveUp(promotion);
    }
    return true;
  }

  private void giveUp(Promotion promotion) {
    codeCache.evict(promotion.second().code());
    coveredWide.clear(); // what it would have covered may be optimized for itself
  }

  /** Makes regions again that go through a place, as what runs there is optimized now. */
  private void makeAgain(long physical) {
    for (Enclosing.Plain plain : enclosing.take(physical, RUNS_AGAIN)) {
      make(plain.request(), INSTRUCTIONS, plain.code());
    }
  }

  /**
   * Compiles the region of an entry, now. HotSpot has not seen it yet.
   *
   * @param shape how far it is to reach
   * @param guess about where its accesses go
   * @param most instructions
   * @return null where no instruction can be decoded
   */
  @SuppressWarnings("NonAtomicVolatileUpdate") // one thread compiles
  private @Nullable Made make(Request request, Shape shape, PageGuess guess, int most) {
    long start = System.nanoTime();
    int longest =
        HotSpotCompilers.ofThisMachine().isPresent() ? REQUESTED_METHOD_LIMIT : METHOD_LIMIT;
    for (int limit = most; limit > 0; limit /= 2) {
      Region region = RegionBuilder.build(memory, request.hints(), shape, limit);
      if (region == null) {
        return null;
      }
      Snapshot snapshot =
          request.site().snapshot(region.pages.stream().map(RegionPage::physical).toList());
      if (!region.isCurrent(memory)) {
        return null;
      }
      long physical = request.hints().physical();
      boolean leavesUnusual =
          shape == Shape.WIDE && !unusualEverywhere && !unusual.contains(physical);
      RegionCompiler compiler =
          new RegionCompiler(region, machine, guess, shape, leavesUnusual, request.hints());
      byte[] bytes = compiler.compile();
      if (bytes.length > longest && RegionCompiler.methodBytes(bytes) > longest) {
        continue;
      }
      Translation translation = Translation.load(bytes, machine);
      CompiledCode code = translation.code();
      code.complete(compiler.fallbacks(), region.instructions(), region.pages.size());
      if (leavesUnusual) {
        code.whenUnusual(() -> noteUnusual(new Unusual(physical, code)));
      }
      cover(region, shape);
      if (shape == Shape.PLAIN) {
        enclosing.add(request, code, region);
      }
      TranslationProfile used = profile;
      if (used != null) {
        used.note(region, request.hints(), request.site(), translation.code().runCount());
      }
      regions++;
      instructions += region.instructions();
      bytecodeBytes += bytes.length;
      nanos += System.nanoTime() - start;
      return new Made(translation, snapshot, region.chunks(), region.instructions());
    }
    return null;
  }

  private void noteUnusual(Unusual found) {
    if (immediate) {
      expectUnusual(found);
    } else {
      queue.add(found);
    }
  }

  /** Gives up code that leaves for unusual values; what is made next at the place does not. */
  private synchronized void expectUnusual(Unusual found) {
    if (unusual.size() > COVERED_LIMIT) {
      unusual.clear();
    }
    unusual.add(found.physical);
    codeLimit.replaced(found.code);
  }

  private void cover(Region region, Shape shape) {
    Map<Long, Long> places = shape == Shape.WIDE ? coveredWide : covered;
    if (places.size() > COVERED_LIMIT) {
      places.clear();
    }
    long now = System.nanoTime();
    for (RegionBlock block : region.blocks) {
      if (block != region.entry) {
        places.put(region.physical(block), now);
      }
      if (shape == Shape.WIDE) {
        // What the interpreter takes for a block may begin at any of them.
        long before = region.physical(block) - block.start;
        block.deltas.stream().skip(1).forEach(delta -> places.put(before + delta, now));
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
