package io.anillo.cli.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestCacheTest {
  @TempDir private Path home = Path.of("");

  private static GuestCache.Preparation writing(String text) {
    return directory -> Files.writeString(directory.resolve("file"), text);
  }

  private long entries() throws IOException {
    try (Stream<Path> files = Files.list(home.resolve("guests"))) {
      return files.filter(Files::isDirectory).count();
    }
  }

  @Test
  void guestIsPreparedOnceAndAgainOnlyWhenAsked() throws Exception {
    GuestCache cache = new GuestCache(home);
    assertThat(cache.find("g")).isEmpty();
    Path directory = cache.get("g", false, writing("first"));
    cache.get("g", false, writing("second"));
    assertThat(directory.resolve("file")).hasContent("first");
    assertThat(cache.get("g", true, writing("third"))).isEqualTo(directory);
    assertThat(directory.resolve("file")).hasContent("third");
    assertThat(entries()).isOne();
  }

  @Test
  void failedPreparationLeavesNothing() throws Exception {
    GuestCache cache = new GuestCache(home);
    assertThatThrownBy(() ->
            cache.get(
                "g",
                false,
                directory -> {
                  Files.writeString(directory.resolve("half"), "half");
                  throw new ImageException("no more");
                }))
        .isInstanceOf(ImageException.class)
        .hasMessage("no more");
    assertThat(cache.find("g")).isEmpty();
    assertThat(entries()).isZero();
  }

  @Test
  void whatAKilledProcessLeftIsRemoved() throws Exception {
    Files.createDirectories(home.resolve("guests/g.unfinished123"));
    Files.writeString(home.resolve("guests/g.unfinished123/part"), "part");
    new GuestCache(home).get("g", false, writing("whole"));
    assertThat(entries()).isOne();
  }

  @Test
  void unwritableHomeIsExplained() throws Exception {
    Path file = Files.writeString(home.resolve("file"), "");
    assertThatThrownBy(() -> new GuestCache(file).get("g", false, writing("x")))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("could not be stored under " + file)
        .hasMessageContaining("ANILLO_HOME");
  }
}
