package io.anillo.vmm.device.virtio.entropy;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioEntropyDeviceTest {
  private final TestBoard board = new TestBoard(16);
  private final GuestDriver driver =
      new GuestDriver(board, new VirtioEntropyDevice("entropy0", board)).bringUp();

  @AfterEach
  void closeBoard() {
    board.close();
  }

  @Test
  void buffersAreFilledFromTheBoardsEntropy() {
    GuestQueue.Buffer first = driver.room(100);
    GuestQueue.Buffer second = driver.room(28);
    driver.queue(0).add(List.of(), List.of(first, second));
    driver.queue(0).kick();
    assertThat(driver.queue(0).take()).isEqualTo(new GuestQueue.Used(0, 128));
    byte[] expected = new byte[128];
    new Random(1).nextBytes(expected);
    assertThat(driver.content(first)).isEqualTo(java.util.Arrays.copyOf(expected, 100));
    assertThat(driver.content(second)).isEqualTo(java.util.Arrays.copyOfRange(expected, 100, 128));
    assertThat(driver.interrupts).isEqualTo(List.of(1));
    assertThat(driver.configRead(0, 4)).isEqualTo(0x1044_1AF4);
  }

  @Test
  void aHugeRequestIsAnsweredInPart() {
    driver.queue(0).add(List.of(), List.of(driver.room(1 << 20)));
    driver.queue(0).kick();
    assertThat(Objects.requireNonNull(driver.queue(0).take()).writtenBytes()).isEqualTo(1 << 16);
  }

  @Test
  void goesOnAfterSaveAndRestore() {
    driver.queue(0).add(List.of(), List.of(driver.room(8)));
    driver.queue(0).kick();
    driver.queue(0).take();
    driver.function.pause();
    byte[] state = driver.save();
    try (TestBoard other = TestBoard.copyOf(board)) {
      GuestDriver restored =
          driver.continueOn(other, new VirtioEntropyDevice("entropy0", other), state);
      assertThat(restored.saveFunction()).isEqualTo(driver.saveFunction());
      restored.queue(0).add(List.of(), List.of(restored.room(8)));
      restored.queue(0).kick();
      assertThat(restored.queue(0).take()).isNotNull();
    }
  }
}
