package io.anillo.vmm.device.virtio.console;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.device.virtio.guest.GuestDriver;
import io.anillo.vmm.device.virtio.guest.GuestQueue;
import io.anillo.vmm.device.virtio.guest.TestBoard;
import io.anillo.vmm.port.CharBackend;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class VirtioConsoleDeviceTest {
  /** A terminal that remembers what was written to it. */
  private static final class Terminal implements CharBackend {
    final ByteArrayOutputStream written = new ByteArrayOutputStream();
    Receiver receiver = (data, offset, length) -> {};
    boolean closed;

    @Override
    public void start(Receiver newReceiver) {
      receiver = newReceiver;
    }

    @Override
    public void write(byte[] data, int offset, int length) {
      written.write(data, offset, length);
    }

    @Override
    public void close() {
      closed = true;
    }

    void type(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      receiver.receive(bytes, 0, bytes.length);
    }
  }

  private final TestBoard board = new TestBoard(32);
  private final Terminal terminal = new Terminal();
  private final VirtioConsoleDevice device = new VirtioConsoleDevice("console0", terminal, board);
  private final GuestDriver driver = new GuestDriver(board, device).bringUp();

  @AfterEach
  void closeBoard() {
    board.close();
  }

  private static String read(GuestDriver driver, List<GuestQueue.Buffer> buffers) {
    StringBuilder text = new StringBuilder();
    while (true) {
      GuestQueue.Used used = driver.queue(0).take();
      if (used == null) {
        return text.toString();
      }
      GuestQueue.Buffer buffer = buffers.removeFirst();
      text.append(
          new String(driver.content(buffer), 0, used.writtenBytes(), StandardCharsets.UTF_8));
    }
  }

  private static List<GuestQueue.Buffer> offer(GuestDriver driver, int count, int bytes) {
    List<GuestQueue.Buffer> buffers = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      GuestQueue.Buffer buffer = driver.room(bytes);
      buffers.add(buffer);
      driver.queue(0).add(List.of(), List.of(buffer));
    }
    driver.queue(0).kick();
    return buffers;
  }

  @Test
  void whatTheGuestWritesReachesTheTerminal() {
    byte[] big = new byte[10_000];
    java.util.Arrays.fill(big, (byte) 'x');
    driver
        .queue(1)
        .add(List.of(driver.buffer("hello ".getBytes(StandardCharsets.UTF_8))), List.of());
    driver.queue(1).add(List.of(driver.buffer(big)), List.of());
    driver.queue(1).kick();
    assertThat(terminal.written.toString(StandardCharsets.UTF_8))
        .isEqualTo("hello " + "x".repeat(10_000));
    assertThat(driver.queue(1).deviceUsedIndex()).isEqualTo(2);
  }

  @Test
  void typedBytesReachTheGuestInOrder() {
    terminal.type("early ");
    board.settle();
    List<GuestQueue.Buffer> buffers = offer(driver, 8, 5);
    assertThat(read(driver, buffers)).isEqualTo("early ");
    terminal.type("later, and longer than a buffer");
    board.settle();
    assertThat(read(driver, buffers)).isEqualTo("later, and longer than a buffer".substring(0, 30));
    buffers.addAll(offer(driver, 1, 5));
    assertThat(read(driver, buffers)).isEqualTo("r");
    assertThat(driver.interrupts).contains(1);
  }

  @Test
  void inputThatNobodyReadsIsBounded() {
    byte[] block = new byte[4096];
    for (int i = 0; i < 1000; i++) {
      terminal.receiver.receive(block, 0, block.length);
    }
    board.settle();
    driver.function.pause();
    assertThat(driver.saveFunction().length).isBetween(1 << 19, (1 << 20) + 4096);
  }

  @Test
  void sizeIsTold() {
    assertThat(driver.readDevice(0, 4)).isEqualTo(25 << 16 | 80);
    device.resize(132, 50);
    board.settle();
    assertThat(driver.readDevice(0, 4)).isEqualTo(50 << 16 | 132);
    assertThat(driver.interrupts).isEqualTo(List.of(0));
  }

  @Test
  void emergencyOutputNeedsNoQueue() {
    driver.setStatus(0);
    driver.writeDevice(8, 4, '!');
    assertThat(terminal.written.toString(StandardCharsets.UTF_8)).isEqualTo("!");
  }

  @Test
  void nothingIsPostedWhilePaused() {
    List<GuestQueue.Buffer> buffers = offer(driver, 4, 100);
    driver.function.pause();
    terminal.type("held");
    assertThat(board.postedCount()).isZero();
    driver.function.resume();
    board.settle();
    assertThat(read(driver, buffers)).isEqualTo("held");
  }

  @Test
  void unreadInputSurvivesSaveAndRestore() {
    List<GuestQueue.Buffer> buffers = offer(driver, 1, 3);
    terminal.type("abcdef");
    terminal.type("ghi");
    board.settle();
    device.resize(100, 40);
    board.settle();
    assertThat(read(driver, buffers)).isEqualTo("abc");
    driver.function.pause();
    byte[] state = driver.save();
    try (TestBoard other = TestBoard.copyOf(board)) {
      GuestDriver restored =
          driver.continueOn(
              other, new VirtioConsoleDevice("console0", new Terminal(), other), state);
      assertThat(restored.saveFunction()).isEqualTo(driver.saveFunction());
      assertThat(read(restored, offer(restored, 3, 4))).isEqualTo("defghi");
      assertThat(restored.readDevice(0, 2)).isEqualTo(100);
    }
  }

  @Test
  void stopClosesTheTerminal() {
    driver.function.stop();
    assertThat(terminal.closed).isTrue();
  }
}
