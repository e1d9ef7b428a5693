package io.anillo.vmm.device.virtio;

import static io.anillo.vmm.device.virtio.VirtioDevice.*;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.virtio.entropy.VirtioEntropyDevice;
import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.GuestQueue.Buffer;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Queues and PCI transport, seen through the simplest device. */
class VirtioTransportTest {
  private final TestBoard board = new TestBoard(32);
  private final GuestDriver driver =
      new GuestDriver(board, new VirtioEntropyDevice("entropy0", board));

  @AfterEach
  void closeBoard() {
    board.close();
  }

  private void request() {
    driver.queue(0).add(List.of(), List.of(driver.room(16)));
    driver.queue(0).kick();
  }

  @Test
  void featuresThatWereNotOfferedAreRefused() {
    driver.negotiate(-1);
    assertThat(driver.features)
        .isEqualTo(VERSION_1 | INDIRECT_DESCRIPTORS | EVENT_INDEX | RING_RESET);
    driver.setStatus(0);
    driver.setStatus(ACKNOWLEDGE | DRIVER);
    driver.writeCommon(8, 4, 0);
    driver.writeCommon(0xC, 4, 1 << 5);
    driver.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assertThat(driver.status()).isEqualTo(ACKNOWLEDGE | DRIVER);
    driver.writeCommon(0xC, 4, 0);
    driver.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    assertThat(driver.status()).as("without VERSION_1").isEqualTo(ACKNOWLEDGE | DRIVER);
    driver.setStatus(ACKNOWLEDGE | DRIVER | DRIVER_OK);
    assertThat(driver.status()).as("without FEATURES_OK").isEqualTo(ACKNOWLEDGE | DRIVER);
  }

  @Test
  void featuresAreFixedOnceAgreed() {
    driver.negotiate(-1);
    driver.writeCommon(8, 4, 0);
    driver.writeCommon(0xC, 4, 0);
    assertThat(driver.readCommon(0xC, 4)).isEqualTo((int) driver.features);
  }

  @Test
  void interruptsGoByTheLineWithoutMessages() {
    driver.negotiate(-1).ready(16);
    request();
    assertThat(driver.interrupts).isEqualTo(List.of(-1));
    assertThat(driver.lineAsserted).isTrue();
    assertThat(driver.readIsr()).isEqualTo(1);
    assertThat(driver.lineAsserted).isFalse();
    assertThat(driver.readIsr()).isZero();
  }

  @Test
  void theLineIsReleasedByReset() {
    driver.negotiate(-1).ready(16);
    request();
    driver.setStatus(0);
    assertThat(driver.lineAsserted).isFalse();
    assertThat(driver.readCommon(0x1C, 2)).as("queue enabled").isZero();
  }

  @Test
  void vectorsThatDoNotExistReadBackAsNone() {
    driver.negotiate(-1).useMessages();
    driver.writeCommon(0x10, 2, 2);
    assertThat(driver.readCommon(0x10, 2)).isEqualTo(0xFFFF);
    driver.writeCommon(0x10, 2, 1);
    assertThat(driver.readCommon(0x10, 2)).isEqualTo(1);
    driver.writeCommon(0x1A, 2, 77);
    assertThat(driver.readCommon(0x1A, 2)).isEqualTo(0xFFFF);
  }

  @Test
  void queuesThatDoNotExistHaveNoSize() {
    driver.negotiate(-1);
    driver.writeCommon(0x16, 2, 1);
    assertThat(driver.readCommon(0x18, 2)).isZero();
    driver.writeCommon(0x18, 2, 16);
    driver.writeCommon(0x1C, 2, 1);
    assertThat(driver.readCommon(0x1C, 2)).isZero();
    assertThat(driver.needsReset()).isFalse();
  }

  @Test
  void registersAreReachedThroughConfigurationSpace() {
    driver.negotiate(-1).ready(16);
    assertThat(driver.windowRead(0x14, 1))
        .isEqualTo(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    assertThat(driver.windowRead(0x12, 2)).isEqualTo(1);
    driver.queue(0).add(List.of(), List.of(driver.room(16)));
    driver.windowWrite(0x3000, 2, 0);
    assertThat(driver.queue(0).take()).isNotNull();
    assertThat(driver.windowRead(0x1000, 1)).isEqualTo(1);
    driver.windowRead(0x7FFF_FFFC, 4);
    driver.windowWrite(0x14, 1, 0);
    assertThat(driver.status()).isZero();
  }

  @Test
  void nothingIsServedWithoutBusMastering() {
    driver.negotiate(-1).useMessages().ready(16);
    driver.configWrite(4, 2, 2);
    request();
    assertThat(driver.queue(0).take()).isNull();
    driver.configWrite(4, 2, 6);
    assertThat(driver.queue(0).take()).isNotNull();
  }

  @Test
  void requestsMadeBeforeTheDriverIsReadyAreServedThen() {
    driver.negotiate(-1).useMessages();
    GuestQueue queue = driver.setUpQueue(0, 16);
    queue.add(List.of(), List.of(driver.room(16)));
    queue.ring();
    assertThat(queue.take()).isNull();
    driver.setStatus(driver.status() | DRIVER_OK);
    assertThat(queue.take()).isNotNull();
  }

  @Test
  void eventIndexSuppressesInterrupts() {
    driver.negotiate(-1).useMessages().ready(16);
    GuestQueue queue = driver.queue(0);
    request();
    assertThat(driver.interrupts).hasSize(1);
    queue.take();
    queue.setUsedEvent(3);
    request();
    request();
    assertThat(driver.interrupts).hasSize(1);
    request();
    assertThat(driver.interrupts).hasSize(2);
    request();
    assertThat(driver.interrupts).hasSize(2);
  }

  @Test
  void flagSuppressesInterruptsWithoutEventIndex() {
    driver.negotiate(~EVENT_INDEX).useMessages().ready(16);
    driver.queue(0).setInterruptsWanted(false);
    request();
    assertThat(driver.interrupts).isEmpty();
    driver.queue(0).setInterruptsWanted(true);
    request();
    assertThat(driver.interrupts).hasSize(1);
  }

  @Test
  void indexesWrapAround() {
    for (long features : new long[] {-1, ~EVENT_INDEX}) {
      try (TestBoard other = new TestBoard(16)) {
        GuestDriver second =
            new GuestDriver(other, new VirtioEntropyDevice("entropy0", other))
                .negotiate(features)
                .useMessages()
                .ready(8);
        Buffer room = second.room(4);
        for (int i = 0; i < 70_000; i++) {
          second.queue(0).add(List.of(), List.of(room));
          second.queue(0).kick();
          assertThat(second.queue(0).take()).isNotNull();
        }
        assertThat(second.interrupts).hasSize(70_000);
      }
    }
  }

  @Test
  void brokenRingsEndInNeedsReset() {
    breaks(
        "loop",
        queue -> {
          queue.describe(queue.table, 0, 0x100000, 16, GuestQueue.NEXT | GuestQueue.WRITE, 1);
          queue.describe(queue.table, 1, 0x100000, 16, GuestQueue.NEXT | GuestQueue.WRITE, 0);
          queue.offer(0);
        });
    breaks("descriptor 999 of 16", queue -> queue.offer(999));
    breaks(
        "descriptor 16 of 16",
        queue -> {
          queue.describe(queue.table, 0, 0x100000, 16, GuestQueue.NEXT, 16);
          queue.offer(0);
        });
    breaks(
        "not in RAM",
        queue -> {
          queue.describe(queue.table, 0, 0xE000_0000L, 16, GuestQueue.WRITE, 0);
          queue.offer(0);
        });
    breaks(
        "not in RAM",
        queue -> {
          queue.describe(queue.table, 0, -8, 16, GuestQueue.WRITE, 0);
          queue.offer(0);
        });
    breaks(
        "not in RAM",
        queue -> {
          queue.describe(queue.table, 0, (32 << 20) - 8, 16, GuestQueue.WRITE, 0);
          queue.offer(0);
        });
    breaks(
        "readable buffer behind",
        queue -> {
          queue.describe(queue.table, 0, 0x100000, 16, GuestQueue.NEXT | GuestQueue.WRITE, 1);
          queue.describe(queue.table, 1, 0x100000, 16, 0, 0);
          queue.offer(0);
        });
    breaks(
        "indirect table of 17 bytes",
        queue -> {
          queue.describe(queue.table, 0, 0x100000, 17, GuestQueue.INDIRECT, 0);
          queue.offer(0);
        });
    breaks(
        "where none may be",
        queue -> {
          queue.describe(queue.table, 0, 0x100000, 16, GuestQueue.INDIRECT | GuestQueue.NEXT, 0);
          queue.offer(0);
        });
    breaks(
        "where none may be",
        queue -> {
          queue.describe(0x200000, 0, 0x100000, 16, GuestQueue.INDIRECT, 0);
          queue.describe(queue.table, 0, 0x200000, 16, GuestQueue.INDIRECT, 0);
          queue.offer(0);
        });
    breaks(
        "ahead in a ring of 16",
        queue -> {
          for (int i = 0; i < 17; i++) {
            queue.offer(0);
          }
        });
  }

  private static void breaks(String reason, Consumer<GuestQueue> crime) {
    try (TestBoard board = new TestBoard(32)) {
      GuestDriver driver =
          new GuestDriver(board, new VirtioEntropyDevice("entropy0", board))
              .negotiate(-1)
              .useMessages()
              .ready(16);
      crime.accept(driver.queue(0));
      driver.queue(0).ring();
      assertThat(driver.needsReset()).as(reason).isTrue();
      assertThat(driver.device().lastFailure()).contains(reason);
      assertThat(driver.interrupts).as("told by a configuration interrupt").isEqualTo(List.of(0));
      assertThat(driver.queue(0).deviceUsedIndex()).isZero();
      driver.negotiate(-1).useMessages().ready(16);
      assertThat(driver.needsReset()).isFalse();
      driver.queue(0).add(List.of(), List.of(driver.room(16)));
      driver.queue(0).kick();
      assertThat(driver.queue(0).take()).as("works after a reset").isNotNull();
    }
  }

  @Test
  void ringsOutsideRamAreRefused() {
    driver.negotiate(-1).useMessages();
    driver.writeCommon(0x20, 4, 0xF000_0000L);
    driver.writeCommon(0x1C, 2, 1);
    assertThat(driver.needsReset()).isTrue();
    assertThat(driver.device().lastFailure()).contains("rings are not in RAM");
  }

  @Test
  void oddQueueSizesAreRefused() {
    for (int size : new int[] {0, 3, 128, 65535}) {
      driver.negotiate(-1);
      driver.writeCommon(0x18, 2, size);
      driver.writeCommon(0x1C, 2, 1);
      assertThat(driver.needsReset()).as("size " + size).isTrue();
    }
  }

  @Test
  void directDescriptorsMayEndInAnIndirectOne() {
    driver.negotiate(-1).useMessages().ready(16);
    GuestQueue queue = driver.queue(0);
    Buffer first = driver.room(10);
    Buffer second = driver.room(10);
    long table = driver.allocate(4096);
    queue.describe(table, 0, second.address(), 10, GuestQueue.WRITE, 0);
    queue.describe(queue.table, 0, first.address(), 10, GuestQueue.WRITE | GuestQueue.NEXT, 1);
    queue.describe(queue.table, 1, table, 16, GuestQueue.INDIRECT, 0);
    queue.offer(0);
    queue.ring();
    assertThat(driver.memory.getInt(queue.used + 8)).isEqualTo(20);
    assertThat(driver.content(second)).isNotEqualTo(new byte[10]);
  }
}
