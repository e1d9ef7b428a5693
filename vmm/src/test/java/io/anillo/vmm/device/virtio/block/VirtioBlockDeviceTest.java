package io.anillo.vmm.device.virtio.block;

import static io.anillo.vmm.device.virtio.VirtioDevice.*;
import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue.Buffer;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioBlockDeviceTest {
  private static final int SECTORS = 4096;
  private final TestBoard board = new TestBoard(64);
  private final MemoryDisk disk = new MemoryDisk(SECTORS * 512, false);

  @AfterEach
  void closeBoard() {
    board.close();
  }

  private static VirtioBlockDevice device(MemoryDisk disk, TestBoard board) {
    return new VirtioBlockDevice(VirtioBlockConfig.of("disk0", "serial-42"), disk, board);
  }

  private BlockGuest guest(long features) {
    return new BlockGuest(
        new GuestDriver(board, device(disk, board)).negotiate(features).useMessages().ready(64));
  }

  private static byte[] random(int bytes, long seed) {
    byte[] data = new byte[bytes];
    new Random(seed).nextBytes(data);
    return data;
  }

  @Test
  void configurationTellsSizeAndTopology() {
    GuestDriver driver = guest(-1).driver;
    assertThat(driver.readDevice(0, 8)).isEqualTo(SECTORS);
    assertThat(driver.readDevice(12, 4)).isEqualTo(254);
    assertThat(driver.readDevice(20, 4)).isEqualTo(512);
    assertThat(driver.readDevice(24, 1)).isEqualTo(3);
    assertThat(driver.readDevice(34, 2)).isEqualTo(1);
    assertThat(driver.readDevice(72, 4)).as("beyond the structure").isZero();
    assertThat(driver.configRead(0, 4)).isEqualTo(0x1042_1AF4);
  }

  @Test
  void whatIsWrittenIsReadBack() {
    for (long features : new long[] {-1, ~INDIRECT_DESCRIPTORS, ~EVENT_INDEX, 0}) {
      try (TestBoard fresh = new TestBoard(16)) {
        MemoryDisk freshDisk = new MemoryDisk(SECTORS * 512, false);
        BlockGuest guest =
            new BlockGuest(
                new GuestDriver(fresh, device(freshDisk, fresh))
                    .negotiate(features)
                    .useMessages()
                    .ready(16));
        byte[] data = random(5 * 512, features);
        assertThat(guest.run(guest.write(7, data))).isZero();
        BlockGuest.Request read = guest.read(7, data.length);
        assertThat(guest.run(read)).isZero();
        assertThat(guest.data(read)).isEqualTo(data);
        assertThat(guest.driver.interrupts).isEqualTo(List.of(1, 1));
      }
    }
  }

  @Test
  void dataMayLieInManyUnevenPieces() {
    BlockGuest guest = guest(-1);
    byte[] data = random(2048, 1);
    List<Buffer> pieces = new ArrayList<>();
    for (int at = 0, size = 1;
        at < data.length;
        at += size, size = Math.min(size * 3 + 1, data.length - at)) {
      size = Math.min(size, data.length - at);
      pieces.add(guest.driver.buffer(Arrays.copyOfRange(data, at, at + size)));
    }
    assertThat(guest.run(guest.submit(1, 100, pieces, List.of()))).isZero();
    assertThat(Arrays.copyOfRange(disk.bytes(), 51200, 53248)).isEqualTo(data);
    List<Buffer> rooms =
        List.of(guest.driver.room(13), guest.driver.room(1000), guest.driver.room(1035));
    BlockGuest.Request read = guest.submit(0, 100, List.of(), rooms);
    assertThat(guest.run(read)).isZero();
    assertThat(guest.data(read)).isEqualTo(data);
  }

  @Test
  void manyRequestsAreUnderWayAtOnce() {
    BlockGuest guest = guest(-1);
    disk.delayMillis = 5;
    List<BlockGuest.Request> writes = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      writes.add(guest.write(i, random(512, i)));
    }
    assertThat(guest.finish()).isEqualTo(40);
    assertThat(writes).allMatch(request -> guest.status(request) == 0);
    for (int i = 0; i < 40; i++) {
      assertThat(Arrays.copyOfRange(disk.bytes(), i * 512, i * 512 + 512))
          .isEqualTo(random(512, i));
    }
    assertThat(((VirtioBlockDevice) guest.driver.device()).metrics().mostInFlight())
        .isGreaterThan(30);
  }

  @Test
  void bigRequestsWorkAndTooBigOnesFail() {
    try (TestBoard big = new TestBoard(128)) {
      MemoryDisk bigDisk = new MemoryDisk(24 << 20, false);
      BlockGuest guest = new BlockGuest(new GuestDriver(big, device(bigDisk, big)).bringUp());
      byte[] data = random(16 << 20, 3);
      assertThat(guest.run(guest.write(8, data))).isZero();
      BlockGuest.Request read = guest.read(8, data.length);
      assertThat(guest.run(read)).isZero();
      assertThat(guest.data(read)).isEqualTo(data);
      assertThat(guest.run(guest.read(0, (16 << 20) + 512))).isEqualTo(1);
    }
  }

  @Test
  void moreBytesThanMayBeHeldWaitInTheRing() {
    BlockGuest guest = guest(-1);
    board.hold = true;
    Buffer room = guest.driver.room(8 << 20);
    for (int i = 0; i < 5; i++) {
      guest.submit(0, 0, List.of(), List.of(new Buffer(room.address(), 1 << 21), room));
    }
    // 10 MiB each, of a disk of 2 MiB: errors at once, nothing held.
    guest.queue().kick();
    assertThat(guest.queue().deviceUsedIndex()).isEqualTo(5);
    MemoryDisk large = new MemoryDisk(32 << 20, false);
    try (TestBoard other = new TestBoard(64)) {
      BlockGuest second = new BlockGuest(new GuestDriver(other, device(large, other)).bringUp());
      other.hold = true;
      Buffer target = second.driver.room(10 << 20);
      for (int i = 0; i < 5; i++) {
        second.submit(0, 0, List.of(), List.of(target));
      }
      second.queue().kick();
      assertThat(other.held).hasSize(3);
      other.hold = false;
      other.held.forEach(Runnable::run);
      assertThat(second.finish()).isEqualTo(5);
    }
  }

  @Test
  void flushReachesTheBackend() {
    BlockGuest guest = guest(-1);
    assertThat(guest.run(guest.write(0, new byte[512]))).isZero();
    assertThat(disk.flushes).hasValue(0);
    assertThat(guest.run(guest.flush())).isZero();
    assertThat(disk.flushes).hasValue(1);
  }

  @Test
  void writesAreDurableAtOnceWithoutWriteback() {
    BlockGuest withoutFlush =
        guest(~VirtioBlockDevice.FLUSH & ~VirtioBlockDevice.CONFIGURABLE_CACHE);
    assertThat(withoutFlush.run(withoutFlush.write(0, new byte[512]))).isZero();
    assertThat(disk.flushes).hasValue(1);
  }

  @Test
  void driverSwitchesTheCacheOff() {
    BlockGuest guest = guest(-1);
    assertThat(guest.driver.readDevice(32, 1)).isEqualTo(1);
    guest.driver.writeDevice(32, 1, 0);
    assertThat(guest.driver.readDevice(32, 1)).isZero();
    assertThat(guest.run(guest.write(0, new byte[512]))).isZero();
    assertThat(disk.flushes).hasValue(1);
  }

  @Test
  void identityIsTheSerial() {
    BlockGuest guest = guest(-1);
    BlockGuest.Request request = guest.submit(8, 0, List.of(), List.of(guest.driver.room(20)));
    assertThat(guest.run(request)).isZero();
    assertThat(new String(guest.data(request), StandardCharsets.US_ASCII).trim())
        .isEqualTo("serial-42");
  }

  @Test
  void discardAndWriteZeroesClearTheRange() {
    BlockGuest guest = guest(-1);
    Arrays.fill(disk.bytes(), (byte) 1);
    Buffer two =
        guest.driver.buffer(join(BlockGuest.segment(2, 3, 1), BlockGuest.segment(10, 1, 0)));
    assertThat(guest.run(guest.submit(13, 0, List.of(two), List.of()))).isZero();
    Buffer one = guest.driver.buffer(BlockGuest.segment(20, 5, 0));
    assertThat(guest.run(guest.submit(11, 0, List.of(one), List.of()))).isZero();
    for (int sector = 0; sector < 32; sector++) {
      boolean cleared = sector >= 2 && sector < 5 || sector == 10 || sector >= 20 && sector < 25;
      assertThat(disk.bytes()[sector * 512])
          .as("sector " + sector)
          .isEqualTo((byte) (cleared ? 0 : 1));
    }
  }

  private static byte[] join(byte[] first, byte[] second) {
    byte[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  @Test
  void impossibleRequestsEndInAnErrorStatus() {
    BlockGuest guest = guest(-1);
    assertThat(guest.run(guest.read(SECTORS, 512))).as("beyond the end").isEqualTo(1);
    assertThat(guest.run(guest.read(SECTORS - 1, 1024))).as("over the end").isEqualTo(1);
    assertThat(guest.run(guest.read(-1, 512))).as("negative sector").isEqualTo(1);
    assertThat(guest.run(guest.read(Long.MAX_VALUE / 512, 512))).as("huge sector").isEqualTo(1);
    assertThat(guest.run(guest.read(0, 100))).as("part of a sector").isEqualTo(1);
    assertThat(guest.run(guest.submit(99, 0, List.of(), List.of()))).as("unknown").isEqualTo(2);
    Buffer flags = guest.driver.buffer(BlockGuest.segment(0, 1, 2));
    assertThat(guest.run(guest.submit(13, 0, List.of(flags), List.of())))
        .as("unknown flag")
        .isEqualTo(2);
    Buffer far = guest.driver.buffer(BlockGuest.segment(SECTORS, 1, 0));
    assertThat(guest.run(guest.submit(11, 0, List.of(far), List.of())))
        .as("discard beyond")
        .isEqualTo(1);
    disk.badOffset = 512 * 9;
    assertThat(guest.run(guest.read(8, 1024))).as("bad sector").isEqualTo(1);
    assertThat(guest.run(guest.write(9, new byte[512]))).as("bad sector").isEqualTo(1);
    assertThat(guest.driver.needsReset()).isFalse();
  }

  @Test
  void readOnlyDiskRefusesWrites() {
    try (TestBoard other = new TestBoard(16)) {
      MemoryDisk sealed = new MemoryDisk(1 << 20, true);
      BlockGuest guest = new BlockGuest(new GuestDriver(other, device(sealed, other)).bringUp());
      assertThat(guest.driver.features & VirtioBlockDevice.READ_ONLY).isNotZero();
      assertThat(guest.run(guest.write(0, random(512, 1)))).isEqualTo(1);
      assertThat(guest.run(guest.read(0, 512))).isZero();
      assertThat(sealed.writes).hasValue(0);
    }
  }

  @Test
  void growthIsAnnounced() {
    BlockGuest guest = guest(-1);
    int generation = guest.driver.readCommon(0x15, 1);
    ((VirtioBlockDevice) guest.driver.device()).announceCapacity();
    board.settle();
    assertThat(guest.driver.readCommon(0x15, 1)).isNotEqualTo(generation);
    assertThat(guest.driver.interrupts).isEqualTo(List.of(0));
  }

  @Test
  void severalQueuesServeOneDisk() {
    VirtioBlockDevice device =
        new VirtioBlockDevice(new VirtioBlockConfig("disk0", "", 4, 64, 512), disk, board);
    BlockGuest guest = new BlockGuest(new GuestDriver(board, device).bringUp());
    for (int i = 0; i < 4; i++) {
      guest.queueIndex = i;
      assertThat(guest.run(guest.write(i, random(512, i)))).isZero();
    }
    assertThat(guest.driver.interrupts).isEqualTo(List.of(1, 2, 3, 4));
    assertThat(Arrays.copyOfRange(disk.bytes(), 1536, 2048)).isEqualTo(random(512, 3));
  }

  @Test
  void resetForgetsRequestsAndNoLateWriteReachesTheDisk() {
    BlockGuest guest = guest(-1);
    board.hold = true;
    BlockGuest.Request write = guest.write(0, random(512, 1));
    guest.queue().kick();
    guest.driver.setStatus(0);
    board.held.forEach(Runnable::run);
    board.settle();
    assertThat(disk.writes).hasValue(0);
    assertThat(guest.status(write)).isEqualTo(0xEE);
    board.hold = false;
    guest.driver.negotiate(-1).useMessages().ready(64);
    assertThat(guest.run(guest.write(0, random(512, 2)))).isZero();
    assertThat(Arrays.copyOf(disk.bytes(), 512)).isEqualTo(random(512, 2));
  }

  @Test
  void oneQueueIsResetAlone() {
    BlockGuest guest = guest(-1);
    board.hold = true;
    guest.write(0, random(512, 1));
    guest.queue().kick();
    guest.driver.writeCommon(0x16, 2, 0);
    guest.driver.writeCommon(0x3A, 2, 1);
    assertThat(guest.driver.readCommon(0x3A, 2)).isZero();
    assertThat(guest.driver.readCommon(0x1C, 2)).isZero();
    board.held.forEach(Runnable::run);
    assertThat(disk.writes).hasValue(0);
    board.hold = false;
    guest.driver.replaceQueue(guest.driver.setUpQueue(0, 32));
    assertThat(guest.run(guest.write(0, random(512, 3)))).isZero();
  }

  @Test
  void pauseWaitsForOrRemembersWhatIsUnderWay() {
    BlockGuest guest = guest(-1);
    disk.delayMillis = 10;
    for (int i = 0; i < 20; i++) {
      guest.write(i, random(512, i));
    }
    guest.queue().kick();
    guest.driver.function.pause();
    int posted = board.postedCount();
    int written = disk.writes.get();
    sleep(50);
    assertThat(board.postedCount()).isEqualTo(posted);
    assertThat(disk.writes).hasValue(written);
    guest.driver.function.resume();
    assertThat(guest.finish()).isEqualTo(20);
    assertThat(disk.writes).hasValue(20);
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void requestsUnderWaySurviveSaveAndRestore() {
    BlockGuest guest = guest(-1);
    byte[] old = random(512, 5);
    assertThat(guest.run(guest.write(3, old))).isZero();
    guest.driver.writeDevice(32, 1, 0);
    board.hold = true;
    BlockGuest.Request read = guest.read(3, 512);
    BlockGuest.Request write = guest.write(4, random(512, 6));
    BlockGuest.Request finished = guest.write(5, random(512, 7));
    guest.queue().kick();
    board.held.get(2).run(); // done and posted, but not applied
    guest.driver.function.pause();
    byte[] state = guest.driver.save();
    try (TestBoard other = TestBoard.copyOf(board)) {
      BlockGuest restored =
          new BlockGuest(guest.driver.continueOn(other, device(disk, other), state));
      assertThat(restored.driver.save()).isNotEmpty();
      assertThat(restored.finish()).isEqualTo(3);
      assertThat(restored.status(read)).isZero();
      assertThat(restored.data(read)).isEqualTo(old);
      assertThat(restored.status(write)).isZero();
      assertThat(restored.status(finished)).isZero();
      assertThat(Arrays.copyOfRange(disk.bytes(), 2048, 2560)).isEqualTo(random(512, 6));
      assertThat(restored.driver.readDevice(32, 1)).isZero();
      assertThat(restored.run(restored.flush())).isZero();
    }
  }

  @Test
  void savedStateIsTheSameAfterRestore() {
    BlockGuest guest = guest(-1);
    guest.run(guest.write(3, random(512, 1)));
    guest.driver.function.pause();
    byte[] state = guest.driver.save();
    byte[] deviceState = guest.driver.saveFunction();
    try (TestBoard other = TestBoard.copyOf(board)) {
      GuestDriver restored = guest.driver.continueOn(other, device(disk, other), state);
      assertThat(restored.saveFunction()).isEqualTo(deviceState);
    }
  }

  @Test
  void stopClosesTheBackend() {
    guest(-1).driver.function.stop();
    assertThat(disk.closed).isTrue();
  }

  @Test
  void randomOperationsMatchAModel() {
    long seed = 20240611;
    Random random = new Random(seed);
    byte[] model = new byte[SECTORS * 512];
    try (TestBoard fresh = new TestBoard(256)) {
      BlockGuest guest = new BlockGuest(new GuestDriver(fresh, device(disk, fresh)).bringUp());
      for (int round = 0; round < 400; round++) {
        // Operations of one round do not overlap: round-robin over eight stretches of the disk.
        List<BlockGuest.Request> reads = new ArrayList<>();
        List<byte[]> expected = new ArrayList<>();
        for (int part = 0; part < 8; part++) {
          int count = 1 + random.nextInt(20);
          int sector = part * (SECTORS / 8) + random.nextInt(SECTORS / 8 - count);
          int from = sector * 512;
          int to = from + count * 512;
          switch (random.nextInt(5)) {
            case 0, 1 -> {
              byte[] data = new byte[count * 512];
              random.nextBytes(data);
              guest.write(sector, data);
              System.arraycopy(data, 0, model, from, data.length);
            }
            case 2 -> {
              Buffer segment =
                  guest.driver.buffer(BlockGuest.segment(sector, count, random.nextInt(2)));
              guest.submit(13, 0, List.of(segment), List.of());
              Arrays.fill(model, from, to, (byte) 0);
            }
            case 3 -> guest.flush();
            default -> {
              reads.add(guest.read(sector, count * 512));
              expected.add(Arrays.copyOfRange(model, from, to));
            }
          }
        }
        guest.finish();
        for (int i = 0; i < reads.size(); i++) {
          assertThat(guest.status(reads.get(i))).isZero();
          assertThat(guest.data(reads.get(i)))
              .as("seed %d round %d", seed, round)
              .isEqualTo(expected.get(i));
        }
      }
    }
    assertThat(disk.bytes()).isEqualTo(model);
  }
}
