package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.HotCode;
import io.anillo.vmm.x86.interpret.RunCount;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What was hot is known again by what names its code; anything unreadable is an empty profile. */
class TranslationProfileTest {
  private static final int THRESHOLD = 1000;
  private static final int ENTRY = 0x120;
  private static final int MEMBER = 0x121;
  private static final long PHYSICAL = 0x5000;

  @TempDir private Path directory;

  private static Region region() throws Exception {
    byte[] page = new byte[4096];
    page[ENTRY] = (byte) 0x90;
    page[MEMBER] = (byte) 0x90;
    return new Region(
        List.of(block(page, ENTRY), block(page, MEMBER)),
        List.of(new RegionPage(0, 0, PHYSICAL, page)),
        ENTRY);
  }

  private static RegionBlock block(byte[] page, int at) throws Exception {
    RegionBlock block = new RegionBlock(Activation.root(ENTRY), at);
    block.add(at, new Decoder().decode(page, at, page.length, CodeSize.CODE_64));
    return block;
  }

  /** Code whose place is its name. */
  private record Named() implements CodeHints {
    @Override
    public long key(long physical) {
      return physical;
    }

    @Override
    public long linear() {
      throw new UnsupportedOperationException();
    }

    @Override
    public long physical() {
      throw new UnsupportedOperationException();
    }

    @Override
    public long physicalPage(long linearPage) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int heat(long physical) {
      throw new UnsupportedOperationException();
    }

    @Override
    public int compiled(long physical) {
      throw new UnsupportedOperationException();
    }

    @Override
    public long[] registers() {
      throw new UnsupportedOperationException();
    }

    @Override
    public long[] targets(long linear) {
      throw new UnsupportedOperationException();
    }
  }

  /** A block of five instructions that ran so often. */
  private record Ran(int heat) implements HotCode.Site {
    @Override
    public int instructions() {
      return 5;
    }

    @Override
    public boolean current() {
      throw new UnsupportedOperationException();
    }

    @Override
    public long expected() {
      throw new UnsupportedOperationException();
    }

    @Override
    public void rearm() {
      throw new UnsupportedOperationException();
    }

    @Override
    public boolean use(CompiledCode code) {
      throw new UnsupportedOperationException();
    }

    @Override
    public HotCode.Snapshot snapshot(List<Long> physicalPages) {
      throw new UnsupportedOperationException();
    }
  }

  private static TranslationProfile after(Path file, int runs) throws Exception {
    TranslationProfile profile = TranslationProfile.load(file, THRESHOLD);
    profile.note(region(), new Named(), new Ran(runs), new RunCount(0));
    profile.save(file);
    return TranslationProfile.load(file, THRESHOLD);
  }

  @Test
  void whatWasWorthCompilingIsOfferedSoonInTheNextRun() throws Exception {
    Path file = directory.resolve("deep/profile");
    TranslationProfile first = TranslationProfile.load(file, THRESHOLD);
    assertThat(first.initialHeat(PHYSICAL + ENTRY)).isZero();
    assertThat(first.runsLeft(PHYSICAL + ENTRY)).isEqualTo(THRESHOLD);
    TranslationProfile second = after(file, 1_000_000);
    assertThat(second.runsLeft(PHYSICAL + ENTRY)).isLessThan(100);
    assertThat(second.instructions(PHYSICAL + ENTRY)).isEqualTo(5_000_000);
    assertThat(second.initialHeat(PHYSICAL + MEMBER)).as("can be taken in").isPositive();
    assertThat(second.runsLeft(PHYSICAL + MEMBER)).isEqualTo(THRESHOLD);
    assertThat(second.initialHeat(PHYSICAL + MEMBER + 1)).as("other code").isZero();
    second.save(file);
    assertThat(TranslationProfile.load(file, THRESHOLD).instructions(PHYSICAL + ENTRY))
        .as("what earlier runs learned is kept")
        .isEqualTo(5_000_000);
  }

  @Test
  void whatHardlyRanIsNotOfferedEarlier() throws Exception {
    TranslationProfile second = after(directory.resolve("profile"), THRESHOLD);
    assertThat(second.runsLeft(PHYSICAL + ENTRY)).isEqualTo(THRESHOLD);
  }

  @Test
  void damagedProfilesAreEmpty() throws Exception {
    Path file = directory.resolve("profile");
    after(file, 1_000_000);
    byte[] whole = Files.readAllBytes(file);
    for (int length = 0; length < whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThat(TranslationProfile.load(file, THRESHOLD).initialHeat(PHYSICAL + ENTRY)).isZero();
    }
  }
}
