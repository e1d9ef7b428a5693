package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.interpret.CodePages;
import io.anillo.vmm.x86.interpret.CodeProfile;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.Map;

/**
 * Which code was worth translating, by the content of its pages: so that the next run of the same
 * code translates it early. Missing, stale or damaged profiles are empty ones.
 */
final class TranslationProfile implements CodeProfile {
  /** Format: magic and version, then for each page its hash, a count, and so many shorts. */
  private static final long MAGIC = 0x616E_696C_6C6F_0001L;

  private static final int PAGES_LIMIT = 50_000;
  private static final int ENTRY = 0x4000;
  private static final int OFFSET = 0x0FFF;

  /** What the blocks inside regions get: enough to be taken into one. */
  private static final int MEMBER_SHARE = 6;

  /** Runs that are left to a block before it is offered. */
  private static final int RUNS_LEFT = 20;

  private final int threshold;

  /** From earlier runs: page hash to offset to whether a region began there. */
  private final Map<Long, Map<Integer, Boolean>> known;

  private final Map<Long, Map<Integer, Boolean>> seen = new HashMap<>();

  private TranslationProfile(int threshold, Map<Long, Map<Integer, Boolean>> known) {
    this.threshold = threshold;
    this.known = known;
  }

  /**
   * @param threshold runs after which a block is offered
   */
  static TranslationProfile load(Path file, int threshold) {
    Map<Long, Map<Integer, Boolean>> known = new HashMap<>();
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      if (in.readLong() == MAGIC) {
        int pages = Math.min(in.readInt(), PAGES_LIMIT);
        for (int i = 0; i < pages; i++) {
          long hash = in.readLong();
          int count = in.readUnsignedShort();
          Map<Integer, Boolean> places = new HashMap<>();
          for (int k = 0; k < count; k++) {
            int place = in.readUnsignedShort();
            places.put(place & OFFSET, (place & ENTRY) != 0);
          }
          known.put(hash, places);
        }
      }
    } catch (IOException e) {
      known.clear(); // none yet, or one that was cut off: everything is learned anew
    }
    return new TranslationProfile(threshold, known);
  }

  @Override
  public int initialHeat(long pageHash, int pageOffset) {
    Map<Integer, Boolean> places = known.get(pageHash);
    Boolean entry = places == null ? null : places.get(pageOffset);
    if (entry == null) {
      return 0;
    }
    return entry ? Math.max(0, threshold - RUNS_LEFT) : threshold / MEMBER_SHARE;
  }

  /** Takes note of a region. */
  synchronized void note(Region region) {
    long[] hashes = new long[region.pages.size()];
    for (RegionPage page : region.pages) {
      hashes[page.number()] = CodePages.hash(page.bytes());
    }
    for (RegionBlock block : region.blocks) {
      long hash = hashes[region.pageOf(block.start).number()];
      seen.computeIfAbsent(hash, key -> new HashMap<>())
          .merge(block.start & 4095, block == region.entry, Boolean::logicalOr);
    }
  }

  /** Writes what this run and earlier ones learned; as a whole, or not at all. */
  synchronized void save(Path file) throws IOException {
    Map<Long, Map<Integer, Boolean>> all = new HashMap<>(seen);
    for (var each : known.entrySet()) {
      if (all.size() < PAGES_LIMIT) {
        all.putIfAbsent(each.getKey(), each.getValue());
      }
    }
    Files.createDirectories(file.toAbsolutePath().getParent());
    Path unfinished = Files.createTempFile(file.toAbsolutePath().getParent(), "profile", ".new");
    try (DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(unfinished)))) {
      out.writeLong(MAGIC);
      out.writeInt(all.size());
      for (var page : all.entrySet()) {
        out.writeLong(page.getKey());
        out.writeShort(page.getValue().size());
        for (var place : page.getValue().entrySet()) {
          out.writeShort(place.getKey() | (place.getValue() ? ENTRY : 0));
        }
      }
    }
    Files.move(unfinished, file, StandardCopyOption.REPLACE_EXISTING);
  }
}
