package io.anillo.vmm.device.virtio.balloon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioBalloonDeviceTest {
  private record Released(long address, long bytes) {}

  private final TestBoard board = new TestBoard(32);
  private final List<Released> released = new ArrayList<>();
  private final VirtioBalloonDevice device = device(board);

  private VirtioBalloonDevice device(TestBoard where) {
    return new VirtioBalloonDevice(
        "balloon0", (address, bytes) -> released.add(new Released(address, bytes)), where);
  }

  @AfterEach
  void closeBoard() {
    board.close();
  }

  private static GuestQueue.Buffer pages(GuestDriver driver, int... numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int number : numbers) {
      bytes.putInt(number);
    }
    return driver.buffer(bytes.array());
  }

  @Test
  void inflatedPagesAreReleasedInRuns() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    driver.queue(0).add(List.of(pages(driver, 100, 101, 102, 50, 49, 48, 0, 9999999)), List.of());
    driver.queue(0).kick();
    assertThat(released)
        .isEqualTo(
            List.of(
                new Released(100 << 12, 3 << 12),
                new Released(48 << 12, 3 << 12),
                new Released(0, 4096)));
    assertThat(device.metrics().refusedPages()).isEqualTo(1);
    driver.queue(1).add(List.of(pages(driver, 100, 101)), List.of());
    driver.queue(1).kick();
    assertThat(device.metrics().deflatedPages()).isEqualTo(2);
    assertThat(driver.queue(1).take()).isNotNull();
  }

  @Test
  void targetAndActualSizeAreExchanged() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    device.setTarget(5 << 20);
    board.settle();
    assertThat(driver.interrupts).isEqualTo(List.of(0));
    assertThat(driver.readDevice(0, 4)).isEqualTo(1280);
    driver.writeDevice(4, 4, 1280);
    assertThat(device.actualBytes()).isEqualTo(5 << 20);
    assertThatThrownBy(() -> device.setTarget(1L << 40))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static GuestQueue.Buffer statistics(GuestDriver driver, long free, long total) {
    return driver.buffer(
        ByteBuffer.allocate(30)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putShort((short) 4)
            .putLong(free)
            .putShort((short) 5)
            .putLong(total)
            .putShort((short) 77)
            .putLong(1)
            .array());
  }

  @Test
  void statisticsAreTakenAndAskedForAgain() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    driver.queue(2).add(List.of(statistics(driver, 1000, 5000)), List.of());
    driver.queue(2).kick();
    assertThat(device.statistics().freeBytes()).hasValue(1000);
    assertThat(device.statistics().totalBytes()).hasValue(5000);
    assertThat(device.statistics().majorFaults()).isEmpty();
    assertThat(driver.queue(2).take()).as("kept until asked for").isNull();
    device.requestStatistics();
    board.settle();
    assertThat(driver.queue(2).take()).isNotNull();
    driver.queue(2).add(List.of(statistics(driver, 900, 5000)), List.of());
    driver.queue(2).kick();
    assertThat(device.statistics().freeBytes()).hasValue(900);
    driver.queue(2).add(List.of(statistics(driver, 1, 1)), List.of());
    driver.queue(2).kick();
    assertThat(driver.needsReset()).as("a second buffer").isTrue();
  }

  @Test
  void freePagesAreReported() {
    for (int queue : new int[] {3, 4}) {
      released.clear();
      try (TestBoard fresh = new TestBoard(32)) {
        GuestDriver driver = new GuestDriver(fresh, device(fresh)).bringUp();
        long free = driver.allocate(1 << 20);
        driver
            .queue(queue)
            .add(
                List.of(),
                List.of(
                    new GuestQueue.Buffer(free, 1 << 19),
                    new GuestQueue.Buffer(free + (1 << 19) + 100, 9000)));
        driver.queue(queue).kick();
        assertThat(released)
            .isEqualTo(
                List.of(new Released(free, 1 << 19), new Released(free + (1 << 19) + 4096, 4096)));
        assertThat(driver.queue(queue).take()).isNotNull();
      }
    }
  }

  @Test
  void withoutStatisticsTheReportingQueueMovesUp() {
    GuestDriver driver =
        new GuestDriver(board, device)
            .negotiate(~VirtioBalloonDevice.STATISTICS)
            .useMessages()
            .ready(64);
    driver.queue(2).add(List.of(), List.of(driver.room(8192)));
    driver.queue(2).kick();
    assertThat(released).hasSize(1);
  }

  @Test
  void poisonedPagesKeepTheirContents() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    driver.writeDevice(12, 4, 0xAAAAAAAA);
    driver.queue(3).add(List.of(), List.of(driver.room(8192)));
    driver.queue(3).kick();
    assertThat(released).isEmpty();
    assertThat(driver.queue(3).take()).isNotNull();
  }

  @Test
  void anEndlessListOfPagesIsRefused() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    driver.queue(0).add(List.of(driver.room(1 << 20)), List.of());
    driver.queue(0).kick();
    assertThat(driver.needsReset()).isTrue();
    assertThat(device.lastFailure()).contains("page numbers");
  }

  @Test
  void theHeldBufferSurvivesSaveAndRestore() {
    GuestDriver driver = new GuestDriver(board, device).bringUp();
    driver.queue(2).add(List.of(statistics(driver, 1000, 5000)), List.of());
    driver.queue(2).kick();
    device.setTarget(1 << 20);
    board.settle();
    driver.writeDevice(4, 4, 17);
    driver.function.pause();
    byte[] state = driver.save();
    try (TestBoard other = TestBoard.copyOf(board)) {
      VirtioBalloonDevice fresh = device(other);
      GuestDriver restored = driver.continueOn(other, fresh, state);
      assertThat(restored.saveFunction()).isEqualTo(driver.saveFunction());
      assertThat(fresh.statistics().freeBytes()).hasValue(1000);
      assertThat(fresh.actualBytes()).isEqualTo(17 << 12);
      assertThat(restored.readDevice(0, 4)).isEqualTo(256);
      fresh.requestStatistics();
      other.settle();
      assertThat(restored.queue(2).take()).isNotNull();
    }
  }
}
