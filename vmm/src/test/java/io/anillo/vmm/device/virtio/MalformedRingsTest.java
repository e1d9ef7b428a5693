package io.anillo.vmm.device.virtio;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.virtio.balloon.PageRelease;
import io.anillo.vmm.device.virtio.balloon.VirtioBalloonDevice;
import io.anillo.vmm.device.virtio.block.VirtioBlockConfig;
import io.anillo.vmm.device.virtio.block.VirtioBlockDevice;
import io.anillo.vmm.device.virtio.console.VirtioConsoleDevice;
import io.anillo.vmm.device.virtio.entropy.VirtioEntropyDevice;
import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import io.anillo.vmm.device.virtio.network.VirtioNetworkConfig;
import io.anillo.vmm.device.virtio.network.VirtioNetworkDevice;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Guests that write anything into rings and registers. Nothing may escape from the device, hang or
 * grow; and after a reset it must work again. Each run prints its seed when it fails; {@code
 * -Danillo.fuzz.seconds} makes them longer.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
class MalformedRingsTest {
  private static final long SEED = Long.getLong("anillo.fuzz.seed", 4711);
  private static final double SECONDS =
      Double.parseDouble(System.getProperty("anillo.fuzz.seconds", "1"));

  /** Puts input into a device from outside, as its backend would. */
  private interface Outside {
    void stir(Random random);
  }

  /** A device under attack, and what happens to it from outside. */
  private record Victim(VirtioDevice device, Outside outside) {}

  /** A disk that answers any request with little work. */
  private static final class ShallowDisk implements BlockBackend {
    @Override
    public long sizeBytes() {
      return 1 << 30;
    }

    @Override
    public boolean readOnly() {
      return false;
    }

    @Override
    public void read(long offset, ByteBuffer destination) throws IOException {
      check(offset, destination.remaining());
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
      check(offset, source.remaining());
    }

    @Override
    public void flush() {}

    @Override
    public void discard(long offset, long length) throws IOException {
      check(offset, length);
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
      check(offset, length);
    }

    private void check(long offset, long length) throws IOException {
      if (offset < 0 || length < 0 || offset + length > sizeBytes()) {
        throw new AssertionError(
            "the device let a request for " + length + " at " + offset + " pass");
      }
      if ((offset & 0x1000) != 0) {
        throw new IOException("bad sector");
      }
    }

    @Override
    public void close() {}
  }

  @Test
  void blockDevice() {
    java.util.logging.Logger log =
        java.util.logging.Logger.getLogger("io.anillo.vmm.device.virtio.block.BlockWork");
    java.util.logging.Level level = log.getLevel();
    log.setLevel(java.util.logging.Level.OFF);
    try {
      attack(board -> {
        VirtioBlockDevice device =
            new VirtioBlockDevice(VirtioBlockConfig.of("victim", "x"), new ShallowDisk(), board);
        return new Victim(device, random -> device.announceCapacity());
      });
    } finally {
      log.setLevel(level);
    }
  }

  @Test
  void consoleDevice() {
    attack(board -> {
      CharBackend.Receiver[] input = new CharBackend.Receiver[1];
      CharBackend backend =
          new CharBackend() {
            @Override
            public void start(Receiver receiver) {
              input[0] = receiver;
            }

            @Override
            public void write(byte[] data, int offset, int length) {}

            @Override
            public void close() {}
          };
      return new Victim(
          new VirtioConsoleDevice("victim", backend, board),
          random -> input[0].receive(new byte[100], 0, random.nextInt(100)));
    });
  }

  @Test
  void entropyDevice() {
    attack(board -> new Victim(new VirtioEntropyDevice("victim", board), random -> {}));
  }

  @Test
  void balloonDevice() {
    attack(board -> {
      PageRelease release =
          (address, bytes) -> {
            if (!board.memory().isRam(address, bytes) || ((address | bytes) & 4095) != 0) {
              throw new AssertionError("released " + bytes + " at " + address);
            }
          };
      VirtioBalloonDevice device = new VirtioBalloonDevice("victim", release, board);
      return new Victim(
          device,
          random -> {
            device.requestStatistics();
            device.setTarget(random.nextInt(1 << 20));
          });
    });
  }

  @Test
  void networkDevice() {
    attack(board -> {
      NetworkBackend.Receiver[] input = new NetworkBackend.Receiver[1];
      NetworkBackend backend =
          new NetworkBackend() {
            @Override
            public void start(Receiver receiver) {
              input[0] = receiver;
            }

            @Override
            public void send(NetworkFrame frame) {
              java.util.Objects.checkFromIndexSize(
                  frame.offset(), frame.length(), frame.data().length);
              if (frame.checksumStart() + frame.checksumOffset() + 2
                  > Math.max(frame.length(), 2)) {
                throw new AssertionError("checksum outside the frame: " + frame);
              }
            }

            @Override
            public Offloads offloads() {
              return new Offloads(true, true, true);
            }

            @Override
            public void close() {}
          };
      return new Victim(
          new VirtioNetworkDevice(
              new VirtioNetworkConfig("victim", 0x525400123456L, 1500, 2, 64), backend, board),
          random -> {
            byte[] frame = new byte[14 + random.nextInt(3000)];
            random.nextBytes(frame);
            NetworkFrame.Segmentation[] kinds = NetworkFrame.Segmentation.values();
            input[0].receive(
                new NetworkFrame(
                    frame,
                    0,
                    frame.length,
                    random.nextInt(80) - 1,
                    random.nextInt(20),
                    kinds[random.nextInt(3)],
                    random.nextInt(1500)));
          });
    });
  }

  private static void attack(Function<TestBoard, Victim> maker) {
    long end = System.nanoTime() + (long) (SECONDS * 1e9);
    int rounds = 0;
    int resets = 0;
    try (TestBoard board = new TestBoard(16)) {
      Victim victim = maker.apply(board);
      GuestDriver driver = new GuestDriver(board, victim.device);
      for (long seed = SEED; System.nanoTime() < end || rounds < 40; seed++, rounds++) {
        try {
          Random random = new Random(seed);
          driver.negotiate(random.nextInt(3) == 0 ? random.nextLong() : -1);
          if (random.nextBoolean()) {
            driver.useMessages();
          }
          driver.ready(1 << random.nextInt(7));
          Attack attack = new Attack(driver, random, random.nextBoolean());
          for (int i = random.nextInt(60); i >= 0; i--) {
            attack.step();
            if (random.nextInt(4) == 0) {
              victim.outside.stir(random);
              board.applyPosted();
            }
          }
          board.settle();
          resets += driver.needsReset() ? 1 : 0;
          driver.interrupts.clear();
          driver.forgetMemory();
        } catch (RuntimeException | Error e) {
          throw new AssertionError("seed " + seed, e);
        }
      }
      driver.setStatus(0);
      driver.configWrite(4, 2, 0);
      driver.bringUp();
      assertThat(driver.needsReset()).as("usable after all that").isFalse();
    }
    assertThat(resets).as("of %d rounds", rounds).isBetween(1, rounds - 1);
  }

  /**
   * One hostile guest; a subtle one keeps its rings in order and lies in requests and registers
   * only.
   */
  private record Attack(GuestDriver driver, Random random, boolean subtle) {

    private long anyAddress() {
      return switch (random.nextInt(8)) {
        case 0 -> random.nextLong();
        case 1 -> (16L << 20) - random.nextInt(5000);
        case 2 -> 0xFEE0_0000L + random.nextInt(100);
        default -> 0x10_0000 + random.nextInt(12 << 20);
      };
    }

    private int anyLength() {
      return switch (random.nextInt(10)) {
        case 0 -> random.nextInt();
        case 1 -> 0;
        case 2 -> random.nextInt(1 << 22);
        case 3 -> 16 * random.nextInt(70);
        case 4 -> 512 * random.nextInt(20) + 1;
        default -> random.nextInt(600);
      };
    }

    private int anyFlags() {
      return random.nextInt(10) == 0 ? random.nextInt(65536) : random.nextInt(4);
    }

    void step() {
      GuestQueue queue = driver.queue(random.nextInt(driver.device().queueCount()));
      switch (subtle ? random.nextInt(2) * 7 : random.nextInt(10)) {
        case 0, 1, 2 -> requestOf(queue);
        case 3 -> {
          int entry = random.nextInt(queue.size);
          queue.describe(
              queue.table,
              entry,
              anyAddress(),
              anyLength(),
              anyFlags(),
              random.nextInt(queue.size + 1));
          queue.offer(random.nextInt(8) == 0 ? random.nextInt(65536) : entry);
        }
        case 4 -> indirectOf(queue);
        case 5 -> {
          long at = queue.table + random.nextInt(0x2000);
          driver.memory.putLong(at, random.nextLong());
        }
        case 6 -> driver.writeCommon(random.nextInt(0x40), 1 << random.nextInt(4), registerValue());
        case 7 -> driver.writeDevice(random.nextInt(80), 1 << random.nextInt(4), random.nextLong());
        case 8 -> {
          driver.readCommon(random.nextInt(0x40), 1 << random.nextInt(4));
          driver.windowRead(random.nextInt(0x4000) & ~3, 4);
          if (random.nextInt(20) == 0) {
            driver.windowWrite(random.nextInt(0x4000) & ~3, 4, random.nextInt());
          }
        }
        default -> driver.doorbell(random.nextInt(20));
      }
      queue.ring();
      if (random.nextInt(30) == 0) {
        driver.function.pause();
        driver.saveFunction();
        driver.function.resume();
      }
    }

    private long registerValue() {
      return random.nextBoolean() ? random.nextInt(4) : random.nextLong();
    }

    /** A chain that is well formed as often as not, with a plausible header for some device. */
    private void requestOf(GuestQueue queue) {
      int count = 1 + random.nextInt(Math.min(queue.size, 5));
      int readable = random.nextInt(count + 1);
      if (subtle && count > 1) {
        readable = Math.max(1, Math.min(readable, count - 1));
      }
      for (int i = 0; i < count; i++) {
        long address =
            !subtle && random.nextInt(20) == 0
                ? anyAddress()
                : 0x80_0000 + 4096L * random.nextInt(1000);
        int length =
            i == 0 && (subtle || random.nextBoolean())
                ? 16
                : random.nextInt(30) == 0 ? anyLength() & 0xFFFFF : random.nextInt(3000);
        int flags = (i < count - 1 ? GuestQueue.NEXT : 0) | (i >= readable ? GuestQueue.WRITE : 0);
        queue.describe(queue.table, i, address, length, flags, i + 1);
        if (i == 0 && address >= 0 && address < 15 << 20) {
          driver.memory.putInt(address, random.nextInt(15));
          driver.memory.putLong(
              address + 8, random.nextInt(10) == 0 ? random.nextLong() : random.nextInt(3 << 20));
        }
      }
      queue.offer(0);
    }

    private void indirectOf(GuestQueue queue) {
      long table = 0xE0_0000 + 4096L * random.nextInt(64);
      int count = 1 + random.nextInt(40);
      for (int i = 0; i < count; i++) {
        int flags =
            random.nextInt(6) == 0
                ? anyFlags()
                : GuestQueue.NEXT | (i > count / 2 ? GuestQueue.WRITE : 0);
        queue.describe(table, i, anyAddress(), anyLength() & 0xFFFF, flags, i + 1);
      }
      int length = random.nextInt(8) == 0 ? anyLength() : 16 * count;
      queue.describe(queue.table, 0, table, length, GuestQueue.INDIRECT, 0);
      queue.offer(0);
    }
  }
}
