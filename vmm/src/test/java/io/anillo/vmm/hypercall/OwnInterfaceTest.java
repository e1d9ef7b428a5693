package io.anillo.vmm.hypercall;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.machine.CaptureBackend;
import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.port.NetworkBackend;
import io.anillo.vmm.port.NetworkFrame;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Each call of docs/hypercalls.md, and each of its errors. */
class OwnInterfaceTest {
  private static final long NOT_MEMORY = 0x1000_0000L;
  private static final long NO_MEMORY = -14, NO_DEVICE = -19, WRONG_ARGUMENT = -22, NO_CALL = -1000;
  private static final int RING = 0x1000, BUFFER = 0x20000, CALL_BLOCK = 0x8000;
  private static final int READ = 0, WRITE = 1, FLUSH = 2;
  private static final int SUBMITTED = 1, DONE = 2, FAILED = 3, TAKEN = 4;
  private static final int EMPTY = 1, FILLED = 2;
  private static final int MIB = 1 << 20, MEMORY_BYTES = 4 * MIB;

  private final TestBoard board = new TestBoard();
  private final GuestMemory memory = board.memory;
  private final ByteArrayOutputStream console = new ByteArrayOutputStream();
  private final SlowDisk disk = new SlowDisk();
  private final Cable cable = new Cable();
  private final List<NetworkFrame> cardsFrames = new ArrayList<>();
  private int wakes;
  private OwnInterface own = make(List.of(disk), Optional.of(cable));

  @AfterEach
  void close() {
    disk.held.countDown();
    board.close();
  }

  private OwnInterface make(List<BlockBackend> disks, Optional<Cable> wire) {
    Optional<CableSplitter> splitter = wire.map(CableSplitter::new);
    splitter.ifPresent(made -> made.start(cardsFrames::add));
    OwnInterface made =
        new OwnInterface(board.board, new CaptureBackend(console), disks, splitter, () -> wakes++);
    made.reset();
    return made;
  }

  private long call(int function, long... arguments) {
    long[] all = Arrays.copyOf(arguments, 3);
    return own.call(function, all[0], all[1], all[2]);
  }

  /** A disk of 2 MiB in memory, which answers when it is let. */
  private static final class SlowDisk implements BlockBackend {
    final byte[] bytes = new byte[2 * MIB];
    CountDownLatch held = new CountDownLatch(0);
    int flushes;

    private void check(long offset, int length) throws IOException {
      try {
        held.await();
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
      if (offset > bytes.length - length) {
        throw new IOException("beyond the end");
      }
    }

    @Override
    public long sizeBytes() {
      return bytes.length;
    }

    @Override
    public boolean readOnly() {
      return false;
    }

    @Override
    public void read(long offset, ByteBuffer destination) throws IOException {
      check(offset, destination.remaining());
      destination.put(bytes, (int) offset, destination.remaining());
    }

    @Override
    public synchronized void write(long offset, ByteBuffer source) throws IOException {
      check(offset, source.remaining());
      source.get(bytes, (int) offset, source.remaining());
    }

    @Override
    public synchronized void flush() throws IOException {
      check(0, 0);
      flushes++;
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayUnmap) {
      throw new AssertionError("nobody asks for it");
    }

    @Override
    public void close() {}
  }

  private static final class Cable implements NetworkBackend {
    final List<byte[]> sent = new ArrayList<>();
    @Nullable Receiver guest;

    @Override
    public void start(Receiver receiver) {
      guest = receiver;
    }

    @Override
    public void send(NetworkFrame frame) {
      sent.add(Arrays.copyOfRange(frame.data(), frame.offset(), frame.offset() + frame.length()));
    }

    boolean deliver(byte[] frame) {
      return guest.receive(NetworkFrame.of(frame));
    }

    @Override
    public void close() {}
  }

  // ---- console, clocks, waiting, the end

  @Test
  void versionAndClocks() {
    assertThat(call(0)).isEqualTo(1);
    assertThat(call(2)).isZero();
    board.advance(1_234_567);
    assertThat(call(2)).isEqualTo(1_234_567);
    assertThat(call(3)).isEqualTo(TestBoard.WALL_ORIGIN + 1_234_567);
    for (int unknown : new int[] {9, 4711, 0xFFFF}) {
      assertThat(call(unknown)).isEqualTo(NO_CALL);
    }
  }

  @Test
  void textGoesToTheConsole() {
    byte[] text = "in ring 0".getBytes(StandardCharsets.US_ASCII);
    memory.write(BUFFER, text, 0, text.length);
    assertThat(call(1, BUFFER, text.length)).isEqualTo(text.length);
    assertThat(console.toString(StandardCharsets.US_ASCII)).isEqualTo("in ring 0");
    assertThat(call(1, BUFFER, 0)).isZero();
    assertThat(call(1, BUFFER, 65536)).isEqualTo(65536);
    assertThat(call(1, BUFFER, 65537)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(1, BUFFER, -1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(1, NOT_MEMORY, 1)).isEqualTo(NO_MEMORY);
    assertThat(call(1, MEMORY_BYTES - 8, 9)).isEqualTo(NO_MEMORY);
    assertThat(console.size()).isEqualTo(text.length + 65536);
  }

  @Test
  void aProcessorThatYieldedIsWokenAtItsMoment() {
    assertThat(call(4, 5_000)).isZero();
    board.advance(4_999);
    assertThat(wakes).isZero();
    board.advance(1);
    assertThat(wakes).isEqualTo(1);
    assertThat(call(4, -7)).as("a moment that is over").isZero();
    board.advance(0);
    assertThat(wakes).isEqualTo(2);
  }

  @Test
  void theMachineEndsWithAStatus() {
    assertThat(call(5, 128)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(5, -1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(board.board.requestPending()).isFalse();
    assertThat(call(5, 127)).isZero();
    assertThat(board.board.takeRequest()).contains(new MachineRequest.DebugExit(127));
    assertThat(call(5, 0)).isZero();
    assertThat(board.board.takeRequest()).contains(new MachineRequest.PowerOff());
  }

  // ---- the disk

  private void entry(int index, int operation, long offset, long buffer, int length) {
    int at = RING + 32 * index;
    memory.putInt(at, operation);
    memory.putInt(at + 4, SUBMITTED);
    memory.putLong(at + 8, offset);
    memory.putLong(at + 16, buffer);
    memory.putInt(at + 24, length);
  }

  private int state(int index) {
    return memory.getInt(RING + 32 * index + 4);
  }

  @Test
  void theDiskIsReadWrittenAndFlushed() {
    Arrays.fill(disk.bytes, 4096, 4196, (byte) 7);
    Arrays.fill(disk.bytes, 9000, 9100, (byte) 9);
    memory.fill(BUFFER + 1000, 100, (byte) 5);
    disk.held = new CountDownLatch(1);
    entry(0, READ, 4096, BUFFER, 100);
    entry(1, WRITE, 9001, BUFFER + 1000, 98);
    entry(2, FLUSH, 0, 0, 0);
    assertThat(call(6, RING, 4)).as("the fourth is not submitted").isEqualTo(3);
    assertThat(new int[] {state(0), state(1), state(2), state(3)})
        .containsExactly(TAKEN, TAKEN, TAKEN, 0);
    assertThat(call(6, RING, 4)).as("all are taken").isZero();
    disk.held.countDown();
    board.board.quiesce();
    assertThat(new int[] {state(0), state(1), state(2)}).containsExactly(DONE, DONE, DONE);
    assertThat(wakes).isEqualTo(3);
    for (int i = 0; i < 100; i++) {
      assertThat(memory.getByte(BUFFER + i)).isEqualTo((byte) 7);
      assertThat(disk.bytes[9000 + i]).isEqualTo((byte) (i == 0 || i == 99 ? 9 : 5));
    }
    assertThat(memory.getByte(BUFFER + 100)).isZero();
    assertThat(disk.flushes).isEqualTo(1);
  }

  @Test
  void entriesThatMakeNoSenseFail() {
    entry(0, 3, 0, BUFFER, 512);
    entry(1, READ, 0, BUFFER, 0);
    entry(2, READ, 0, BUFFER, MIB + 1);
    entry(3, READ, -512, BUFFER, 512);
    entry(4, WRITE, 0, NOT_MEMORY, 512);
    entry(5, READ, disk.sizeBytes() - 511, BUFFER, 512);
    entry(6, READ, Long.MAX_VALUE, BUFFER, 512);
    entry(7, READ, 0, BUFFER, -1);
    entry(8, READ, 0, MEMORY_BYTES - 511, 512);
    assertThat(call(6, RING, 9)).isEqualTo(9);
    board.board.quiesce();
    for (int i = 0; i < 9; i++) {
      assertThat(state(i)).as("entry %d", i).isEqualTo(FAILED);
    }
  }

  @Test
  void ringsThatMakeNoSenseAreRefused() {
    assertThat(call(6, RING, 0)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(6, RING, -1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(6, RING, 257)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(6, RING + 4, 1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(6, NOT_MEMORY, 1)).isEqualTo(NO_MEMORY);
    assertThat(call(6, -8, 1)).isEqualTo(NO_MEMORY);
    assertThat(call(8, RING, -1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(8, RING, 257)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(8, RING + 1, 1)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(8, MEMORY_BYTES - 16, 2)).isEqualTo(NO_MEMORY);
    assertThat(call(7, BUFFER, 13)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(7, BUFFER, 1515)).isEqualTo(WRONG_ARGUMENT);
    assertThat(call(7, MEMORY_BYTES - 13, 14)).isEqualTo(NO_MEMORY);
    assertThat(cable.sent).isEmpty();
  }

  @Test
  void whatIsUnderWayIsBounded() {
    disk.held = new CountDownLatch(1);
    for (int i = 0; i < 40; i++) {
      entry(i, READ, 0, BUFFER, MIB);
    }
    assertThat(call(6, RING, 40)).isEqualTo(32);
    assertThat(state(31)).isEqualTo(TAKEN);
    assertThat(state(32)).isEqualTo(SUBMITTED);
    // Also when a guest submits again what is under way.
    entry(0, READ, 0, BUFFER, 512);
    assertThat(call(6, RING, 40)).isZero();
    disk.held.countDown();
    board.board.quiesce();
    assertThat(call(6, RING, 40)).isEqualTo(8);
    board.board.quiesce();
    assertThat(state(39)).isEqualTo(DONE);
    disk.held = new CountDownLatch(1);
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < 256; i++) {
        entry(i, FLUSH, 0, 0, 0);
      }
      assertThat(call(6, RING, 256)).isEqualTo(round == 0 ? 256 : 0);
    }
  }

  @Test
  void aResetDoesAwayWithWhatIsUnderWay() {
    Arrays.fill(disk.bytes, (byte) 7);
    disk.held = new CountDownLatch(1);
    entry(0, READ, 0, BUFFER, 512);
    assertThat(call(6, RING, 1)).isEqualTo(1);
    own.reset();
    memory.fill(0, MIB, (byte) 0);
    disk.held.countDown();
    board.board.quiesce();
    assertThat(memory.getByte(BUFFER)).as("the next kernel's memory").isZero();
    assertThat(state(0)).isZero();
  }

  // ---- the network

  private void receiveEntry(int index, long buffer) {
    memory.putInt(RING + 16 * index, EMPTY);
    memory.putLong(RING + 16 * index + 8, buffer);
  }

  private static byte[] frame(int length, int fill) {
    byte[] frame = new byte[length];
    Arrays.fill(frame, (byte) fill);
    return frame;
  }

  @Test
  void framesAreSent() {
    memory.fill(BUFFER, 1514, (byte) 3);
    assertThat(call(7, BUFFER, 14)).isEqualTo(14);
    assertThat(call(7, BUFFER, 1514)).isEqualTo(1514);
    assertThat(cable.sent).containsExactly(frame(14, 3), frame(1514, 3));
  }

  @Test
  void framesFillTheRingInOrder() {
    receiveEntry(0, BUFFER);
    receiveEntry(1, BUFFER + 2048);
    assertThat(call(8, RING, 2)).isZero();
    for (int i = 1; i <= 3; i++) {
      assertThat(cable.deliver(frame(100 * i, i))).isTrue();
    }
    board.board.quiesce();
    assertThat(own.framesLost()).as("there was no third entry").isEqualTo(1);
    assertThat(memory.getInt(RING)).isEqualTo(FILLED);
    assertThat(memory.getInt(RING + 4)).isEqualTo(100);
    assertThat(memory.getInt(RING + 16)).isEqualTo(FILLED);
    assertThat(memory.getInt(RING + 20)).isEqualTo(200);
    assertThat(memory.getByte(BUFFER + 99)).isEqualTo((byte) 1);
    assertThat(memory.getByte(BUFFER + 2048 + 199)).isEqualTo((byte) 2);
    assertThat(cardsFrames).isEmpty();
    // Round again, and refused for what is longer than a frame.
    receiveEntry(0, BUFFER);
    assertThat(cable.deliver(frame(1515, 4))).isFalse();
    assertThat(cable.deliver(frame(1514, 5))).isTrue();
    board.board.quiesce();
    assertThat(memory.getInt(RING + 4)).isEqualTo(1514);
    // A buffer that is no memory loses the frame.
    receiveEntry(1, NOT_MEMORY);
    assertThat(cable.deliver(frame(60, 6))).isTrue();
    board.board.quiesce();
    assertThat(own.framesLost()).isEqualTo(2);
    assertThat(call(8, 0, 0)).isZero();
    assertThat(cable.deliver(frame(60, 7))).isTrue();
    assertThat(cardsFrames).hasSize(1);
  }

  @Test
  void aFloodCannotMakeTheHostsMemoryGrow() {
    receiveEntry(0, BUFFER);
    assertThat(call(8, RING, 1)).isZero();
    int letIn = 0;
    while (cable.deliver(frame(1514, 1))) {
      letIn++;
      assertThat(letIn).isLessThan(10_000);
    }
    board.board.quiesce();
    assertThat(own.framesLost()).as("all but the first, and who was refused").isEqualTo(letIn);
    assertThat(cable.deliver(frame(1514, 1))).as("there is room again").isTrue();
  }

  // ---- without devices, by the port, saved

  @Test
  void aMachineWithoutDiskAndNetworkSaysSo() {
    try (TestBoard bare = new TestBoard()) {
      OwnInterface without =
          new OwnInterface(
              bare.board, new CaptureBackend(console), List.of(), Optional.empty(), () -> {});
      assertThat(without.call(6, RING, 1, 0)).isEqualTo(NO_DEVICE);
      assertThat(without.call(7, BUFFER, 60, 0)).isEqualTo(NO_DEVICE);
      assertThat(without.call(8, RING, 1, 0)).isEqualTo(NO_DEVICE);
      TestBoard.restore(without, TestBoard.save(without));
    }
  }

  @Test
  void callsComeByThePort() {
    memory.putLong(CALL_BLOCK, 3);
    memory.putLong(CALL_BLOCK + 32, 99);
    board.board.bus().writePort(0xA20, 4, CALL_BLOCK);
    assertThat(memory.getLong(CALL_BLOCK + 32)).isEqualTo(TestBoard.WALL_ORIGIN);
    memory.putLong(CALL_BLOCK, 1);
    memory.putLong(CALL_BLOCK + 8, NOT_MEMORY);
    memory.putLong(CALL_BLOCK + 16, 1);
    board.board.bus().writePort(0xA20, 4, CALL_BLOCK);
    assertThat(memory.getLong(CALL_BLOCK + 32)).as("64 bits").isEqualTo(NO_MEMORY);
    for (long function : new long[] {-1, 0x1_0000, 1L << 32}) {
      memory.putLong(CALL_BLOCK, function);
      board.board.bus().writePort(0xA20, 4, CALL_BLOCK);
      assertThat(memory.getLong(CALL_BLOCK + 32)).isEqualTo(NO_CALL);
    }
    // Neither of these is a call.
    memory.putLong(CALL_BLOCK, 0);
    board.board.bus().writePort(0xA20, 2, CALL_BLOCK);
    board.board.bus().writePort(0xA20, 4, MEMORY_BYTES - 39);
    board.board.bus().writePort(0xA20, 4, (int) NOT_MEMORY);
    assertThat(memory.getLong(CALL_BLOCK + 32)).isEqualTo(NO_CALL);
    assertThat(board.board.bus().readPort(0xA20, 4)).isEqualTo(-1);
  }

  @Test
  void ringAndMomentAreSaved() {
    receiveEntry(0, BUFFER);
    receiveEntry(1, BUFFER + 2048);
    call(8, RING, 2);
    cable.deliver(frame(60, 1));
    board.board.quiesce();
    call(4, 1_000_000);
    wakes = 0;
    byte[] state = TestBoard.save(own);
    own.reset();
    board.advance(2_000_000);
    assertThat(wakes).isZero();
    TestBoard.restore(own, state);
    cable.deliver(frame(61, 2));
    board.board.quiesce();
    assertThat(memory.getInt(RING + 20)).as("the second entry is next").isEqualTo(61);
    board.advance(0);
    assertThat(wakes).as("a frame, and the moment").isEqualTo(2);
  }

  @Test
  void theNumberOfTheNextTransferIsSaved() {
    byte[] before = TestBoard.save(own);
    entry(0, FLUSH, 0, 0, 0);
    assertThat(call(6, RING, 1)).isEqualTo(1);
    board.board.quiesce();
    byte[] after = TestBoard.save(own);
    assertThat(after).isNotEqualTo(before);
    TestBoard.restore(own, before);
    assertThat(TestBoard.save(own)).isEqualTo(before);
    TestBoard.restore(own, after);
    assertThat(TestBoard.save(own)).isEqualTo(after);
  }
}
