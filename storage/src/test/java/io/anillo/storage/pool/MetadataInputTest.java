package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Counts of metadata that promise more than there is. */
class MetadataInputTest {
  private static final int THERE = 12;

  private static MetadataInput counting(int count) {
    return new MetadataInput("test", ByteBuffer.allocate(4 + THERE).putInt(count).array());
  }

  @Test
  void countsThatFitAreTaken() throws IOException {
    assertThat(counting(THERE).readBytes()).hasSize(THERE);
    assertThat(counting(0).readBytes()).isEmpty();
    assertThat(counting(3).readCount(4)).isEqualTo(3);
  }

  // found by HostilePoolTest, superblock, round 815 of seed 49940800760220: the four bytes of the
  // count itself had been counted among those that follow it
  @ParameterizedTest
  @ValueSource(ints = {THERE + 1, THERE + 2, THERE + 3, THERE + 4, THERE + 5, -1, 0x7fffffff})
  void bytesThatAreNotThereEndInASentence(int count) {
    assertThatThrownBy(() -> counting(count).readBytes())
        .isInstanceOf(IOException.class)
        .hasMessage("the pool's test is damaged: a count of " + count);
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 5, -1})
  void entriesThatAreNotThereEndInASentence(int count) {
    assertThatThrownBy(() -> counting(count).readCount(4))
        .isInstanceOf(IOException.class)
        .hasMessage("the pool's test is damaged: a count of " + count);
  }
}
