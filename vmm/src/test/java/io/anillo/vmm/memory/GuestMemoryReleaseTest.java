package io.anillo.vmm.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class GuestMemoryReleaseTest {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final int BYTES = 64 << 20;

  private static long residentSharedBytes() throws IOException {
    return Files.readAllLines(STATUS).stream()
        .filter(line -> line.startsWith("RssShmem:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) << 10)
        .findFirst()
        .orElse(0);
  }

  @Test
  void pagesGoBackToTheHostAndReadAsZeros() throws IOException {
    assumeTrue(Files.exists(STATUS), "the host does not tell what is resident");
    try (GuestMemory memory = new GuestMemory(BYTES)) {
      long before = residentSharedBytes();
      memory.fill(0, BYTES, (byte) 0x5A);
      long full = residentSharedBytes();
      assertThat(full - before).isGreaterThan(BYTES / 4 * 3L);
      memory.release(GuestMemory.PAGE_BYTES, BYTES - 2L * GuestMemory.PAGE_BYTES);
      assertThat(full - residentSharedBytes()).isGreaterThan(BYTES / 4 * 3L);
      assertThat(memory.getByte(GuestMemory.PAGE_BYTES - 1)).isEqualTo((byte) 0x5A);
      assertThat(memory.getByte(GuestMemory.PAGE_BYTES)).isZero();
      assertThat(memory.getByte(BYTES / 2)).isZero();
      assertThat(memory.getByte(BYTES - 1)).isEqualTo((byte) 0x5A);
    }
  }

  @Test
  void onlyPagesOfRamAreTaken() {
    try (GuestMemory memory = new GuestMemory(1 << 20)) {
      for (long[] range :
          new long[][] {{1, 4096}, {0, 100}, {1 << 20, 4096}, {-4096, 4096}, {0, 1 << 21}}) {
        assertThatThrownBy(() -> memory.release(range[0], range[1]))
            .isInstanceOf(IllegalArgumentException.class);
      }
    }
  }
}
