package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.interpret.CodePages;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What was hot is known again by the content of its page; anything unreadable is an empty profile.
 */
class TranslationProfileTest {
  private static final int THRESHOLD = 1000;
  private static final int ENTRY = 0x120;

  @TempDir private Path directory;

  private final byte[] page = new byte[4096];

  private Region region() throws Exception {
    page[ENTRY] = (byte) 0x90;
    RegionBlock block = new RegionBlock(Activation.root(ENTRY), ENTRY);
    block.add(ENTRY, new Decoder().decode(page, ENTRY, page.length, CodeSize.CODE_64));
    return new Region(List.of(block), List.of(new RegionPage(0, 0, 0x5000, page)), ENTRY);
  }

  @Test
  void entriesAreNearlyHotInTheNextRun() throws Exception {
    Path file = directory.resolve("deep/profile");
    Region region = region();
    TranslationProfile first = TranslationProfile.load(file, THRESHOLD);
    assertThat(first.initialHeat(CodePages.hash(page), ENTRY)).isZero();
    first.note(region);
    first.save(file);
    TranslationProfile second = TranslationProfile.load(file, THRESHOLD);
    assertThat(second.initialHeat(CodePages.hash(page), ENTRY)).isBetween(900, THRESHOLD - 1);
    assertThat(second.initialHeat(CodePages.hash(page), ENTRY + 1)).isZero();
    second.save(file);
    assertThat(TranslationProfile.load(file, THRESHOLD).initialHeat(CodePages.hash(page), ENTRY))
        .as("what earlier runs learned is kept")
        .isPositive();
    page[0]++;
    assertThat(second.initialHeat(CodePages.hash(page), ENTRY)).as("other content").isZero();
  }

  @Test
  void damagedProfilesAreEmpty() throws Exception {
    Path file = directory.resolve("profile");
    TranslationProfile first = TranslationProfile.load(file, THRESHOLD);
    first.note(region());
    first.save(file);
    byte[] whole = Files.readAllBytes(file);
    for (int length = 0; length < whole.length; length++) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThat(TranslationProfile.load(file, THRESHOLD).initialHeat(CodePages.hash(page), ENTRY))
          .isZero();
    }
  }
}
