package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CodeProfile;
import io.anillo.vmm.x86.interpret.HotCode;
import io.anillo.vmm.x86.interpret.RunCount;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Which code was worth translating, and how much: so that the next run of the same code translates
 * that first, and early. Missing, stale or damaged profiles are empty ones.
 */
final class TranslationProfile implements CodeProfile {
  /** Format: magic and version, a count, and so many times a key and a number. */
  private static final long MAGIC = 0x616E_696C_6C6F_0002L;

  private static final int LIMIT = 200_000;

  /** Stands for a block inside a region, instead of what ran in one that it began. */
  private static final long MEMBER = -1;

  /** What the blocks inside regions get: enough to be taken into one. */
  private static final int MEMBER_SHARE = 6;

  /** Runs that are left to a block before it is offered. */
  private static final int RUNS_LEFT = 20;

  /**
   * Instructions that a region has to run to be worth its making, which takes about as long as
   * interpreting so many.
   */
  private static final long WORTH_MAKING = 64_000;

  private final int threshold;

  /** From earlier runs. */
  private final Map<Long, Long> known;

  private final List<Made> made = new ArrayList<>();

  /** A region of this run: its blocks, the entry first, and what tells how much they ran. */
  private record Made(long[] keys, HotCode.Site site, int heatBefore, RunCount count) {
    /** Instructions that ran in its first block before it, or another one there, was made. */
    long interpreted() {
      return (long) (site.heat() - heatBefore) * site.instructions();
    }
  }

  private TranslationProfile(int threshold, Map<Long, Long> known) {
    this.threshold = threshold;
    this.known = known;
  }

  /**
   * @param threshold runs after which a block is offered
   */
  static TranslationProfile load(Path file, int threshold) {
    Map<Long, Long> known = new HashMap<>();
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      if (in.readLong() == MAGIC) {
        int count = Math.min(in.readInt(), LIMIT);
        for (int i = 0; i < count; i++) {
          known.put(in.readLong(), in.readLong());
        }
      }
    } catch (IOException e) {
      known.clear(); // none yet, or one that was cut off: everything is learned anew
    }
    return new TranslationProfile(threshold, known);
  }

  @Override
  public int initialHeat(long key) {
    Long before = known.get(key);
    if (before == null) {
      return 0;
    }
    return before < WORTH_MAKING ? threshold / MEMBER_SHARE : threshold;
  }

  @Override
  public int runsLeft(long key) {
    return instructions(key) < WORTH_MAKING ? threshold : RUNS_LEFT;
  }

  @Override
  public long instructions(long key) {
    return Math.max(0, known.getOrDefault(key, 0L));
  }

  /** Takes note of a region, for which {@code count} is kept. */
  synchronized void note(Region region, CodeHints hints, HotCode.Site site, RunCount count) {
    if (made.size() >= LIMIT / 4) {
      return;
    }
    long[] keys = new long[region.blocks.size()];
    int members = 1;
    for (RegionBlock block : region.blocks) {
      long key = hints.key(region.physical(block));
      if (block == region.entry) {
        keys[0] = key;
      } else {
        keys[members++] = key;
      }
    }
    if (keys[0] != 0) {
      made.add(new Made(keys, site, initialHeat(keys[0]), count));
    }
  }

  /** Writes what this run and earlier ones learned; as a whole, or not at all. */
  synchronized void save(Path file) throws IOException {
    Map<Long, Long> all = learned();
    for (var each : known.entrySet()) {
      if (all.size() < LIMIT) {
        all.putIfAbsent(each.getKey(), each.getValue());
      }
    }
    Files.createDirectories(file.toAbsolutePath().getParent());
    Path unfinished = Files.createTempFile(file.toAbsolutePath().getParent(), "profile", ".new");
    try (DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(unfinished)))) {
      out.writeLong(MAGIC);
      out.writeInt(all.size());
      for (var each : all.entrySet()) {
        out.writeLong(each.getKey());
        out.writeLong(each.getValue());
      }
    }
    Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
  }

  private Map<Long, Long> learned() {
    Map<Long, Long> entries = new HashMap<>();
    Set<HotCode.Site> seen = new HashSet<>();
    for (Made each : made) {
      long interpreted = seen.add(each.site) ? each.interpreted() : 0;
      entries.merge(each.keys[0], each.count.instructions() + interpreted, Long::sum);
    }
    Map<Long, Long> all = new HashMap<>(entries);
    for (Made each : made) {
      if (entries.getOrDefault(each.keys[0], 0L) >= WORTH_MAKING) {
        for (int i = 1; i < each.keys.length && all.size() < LIMIT; i++) {
          all.putIfAbsent(each.keys[i], MEMBER);
        }
      }
    }
    all.remove(0L);
    return all;
  }
}
