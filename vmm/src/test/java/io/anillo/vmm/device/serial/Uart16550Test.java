package io.anillo.vmm.device.serial;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.CaptureBackend;
import io.anillo.vmm.machine.TestBoard;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class Uart16550Test {
  private static final int BASE = Uart16550.COM1;
  private final TestBoard board = new TestBoard();
  private final ByteArrayOutputStream output = new ByteArrayOutputStream();
  private final CaptureBackend peer = new CaptureBackend(output);
  private boolean line;
  private final Uart16550 uart =
      new Uart16550(board.board, "com1", BASE, asserted -> line = asserted, peer);

  Uart16550Test() {
    uart.reset();
    uart.start();
    out(4, 0x08);
  }

  @AfterEach
  void close() {
    board.close();
  }

  private int in(int register) {
    return board.in(BASE + register);
  }

  private void out(int register, int value) {
    board.out(BASE + register, value);
  }

  private void type(String text) {
    peer.type(text);
    board.board.runPending();
  }

  private String sent() {
    return output.toString(StandardCharsets.ISO_8859_1);
  }

  @Test
  void outputIsGatheredAndHandedOverAtLineEndsOrSoon() {
    out(0, 'o');
    out(0, 'k');
    assertThat(sent()).isEmpty();
    out(0, '\n');
    assertThat(sent()).isEqualTo("ok\n");
    out(0, '$');
    board.advance(2_000_000);
    assertThat(sent()).isEqualTo("ok\n$");
    out(0, '!');
    uart.pause();
    assertThat(sent()).endsWith("$!");
  }

  @Test
  void theTransmitterIsAlwaysReadyAndSaysSoOnce() {
    assertThat(in(5)).isEqualTo(0x60);
    out(1, 2);
    assertThat(line).isTrue();
    assertThat(in(2)).isEqualTo(2);
    assertThat(line).isFalse();
    assertThat(in(2)).isEqualTo(1);
    out(0, 'x');
    assertThat(line).isTrue();
    assertThat(in(2)).isEqualTo(2);
    out(1, 0);
    out(1, 2);
    assertThat(in(2)).as("raised again by enabling").isEqualTo(2);
  }

  @Test
  void receivedBytesInterruptAtTheTriggerLevel() {
    out(2, 0x81); // FIFO, trigger at 8
    out(1, 1);
    type("1234567");
    assertThat(line).isFalse();
    type("8");
    assertThat(in(2)).isEqualTo(0xC4);
    assertThat(in(5) & 1).isEqualTo(1);
    StringBuilder read = new StringBuilder();
    while ((in(5) & 1) != 0) {
      read.append((char) in(0));
    }
    assertThat(read.toString()).isEqualTo("12345678");
    assertThat(line).isFalse();
  }

  @Test
  void fewBytesInterruptAfterASilence() {
    out(2, 0x81);
    out(1, 1);
    type("a");
    assertThat(line).isFalse();
    board.advance(10_000_000);
    assertThat(line).isTrue();
    assertThat(in(2)).as("character timeout").isEqualTo(0xCC);
    assertThat(in(0)).isEqualTo('a');
    assertThat(line).isFalse();
  }

  @Test
  void moreThanTheFifoHoldsWaitsItsTurn() {
    out(2, 0x01);
    String text = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(30);
    out(1, 1);
    type(text);
    assertThat(read()).isEqualTo(text);
    type("z".repeat(1 << 17));
    assertThat(uart.metrics().bytesLost()).isEqualTo((1 << 17) - (1 << 16));
  }

  @Test
  void withoutFifoOneByteAtATime() {
    out(1, 1);
    type("xy");
    assertThat(in(2)).isEqualTo(4);
    assertThat(in(0)).isEqualTo('x');
    assertThat(in(0)).isEqualTo('y');
    assertThat(in(5) & 1).isZero();
  }

  @Test
  void loopbackReturnsBytesAndModemLines() {
    out(4, 0x1A);
    assertThat(in(6) & 0xF0).as("RTS gives CTS, OUT2 gives DCD").isEqualTo(0x90);
    out(2, 1);
    out(0, 0xA5);
    assertThat(in(5) & 1).isEqualTo(1);
    assertThat(in(0)).isEqualTo(0xA5);
    board.advance(2_000_000);
    assertThat(sent()).isEmpty();
    for (int i = 0; i < 17; i++) {
      out(0, i);
    }
    assertThat(in(5) & 2).as("overrun").isEqualTo(2);
    assertThat(in(5) & 2).as("cleared by reading").isZero();
  }

  @Test
  void modemStatusShowsChanges() {
    in(6);
    assertThat(in(6)).isEqualTo(0xB0);
    out(1, 8);
    out(4, 0x18);
    out(4, 0x08);
    assertThat(line).isTrue();
    assertThat(in(2)).isZero();
    assertThat(in(6) & 0x0F).isNotZero();
    assertThat(line).isFalse();
  }

  @Test
  void divisorAndScratchReadBack() {
    out(3, 0x83);
    out(0, 0x01);
    out(1, 0x02);
    assertThat(in(0) | in(1) << 8).isEqualTo(0x0201);
    out(3, 0x03);
    assertThat(in(3)).isEqualTo(3);
    out(7, 0x5A);
    assertThat(in(7)).isEqualTo(0x5A);
    out(2, 0xE7);
    assertThat(in(2)).as("a 16550A, not a 16750").isEqualTo(0xC1);
  }

  @Test
  void interruptsNeedTheirGate() {
    out(4, 0);
    out(1, 2);
    assertThat(line).isFalse();
    out(4, 8);
    assertThat(line).isTrue();
  }

  private String read() {
    StringBuilder read = new StringBuilder();
    while ((in(5) & 1) != 0) {
      read.append((char) in(0));
    }
    return read.toString();
  }

  /** What Linux does when it finds the line and when a program opens it (8250_port.c). */
  @Test
  void whatWasSentBeforeADriverOpensTheLineIsThereWhenItReads() {
    type("uname -a\nexit\n");
    out(4, 0);
    out(1, 0x0F);
    out(1, 0);
    for (int i = 0; i < 100; i++) {
      in(5);
      out(0, '.');
    }
    out(2, 1);
    out(2, 7);
    out(2, 0);
    assertThat(in(5) & 1).as("the line is empty").isZero();
    in(0);
    in(2);
    in(6);
    out(4, 0x0B);
    out(1, 5);
    out(2, 1);
    out(2, 0x81);
    out(4, 0x0B);
    board.advance(10_000_000);
    assertThat(line).isTrue();
    assertThat(read()).isEqualTo("uname -a\nexit\n");
    out(1, 0);
    out(2, 7);
    type("more");
    assertThat(in(5) & 1).isZero();
    assertThat(read()).isEmpty();
    for (int i = 0; i < 16; i++) {
      in(5);
    }
    assertThat(read()).as("a guest that polls").isEqualTo("more");
  }

  @Test
  void loweredRequestToSendStopsThePeer() {
    out(1, 1);
    out(2, 1);
    out(4, 0x0A);
    type("a");
    out(4, 0x08);
    type("bc");
    assertThat(read()).isEqualTo("a");
    out(4, 0x0A);
    assertThat(read()).isEqualTo("bc");
  }

  @Test
  void thePeerIsToldHowMuchFits() {
    assertThat(peer.room()).isEqualTo(1 << 16);
    peer.type("x".repeat(1000));
    assertThat(peer.room()).as("on its way").isEqualTo((1 << 16) - 1000);
    board.board.runPending();
    out(1, 1);
    out(2, 1);
    assertThat(read()).hasSize(1000);
    assertThat(peer.room()).isEqualTo(1 << 16);
    type("y".repeat(1 << 17));
    assertThat(peer.room()).isBetween(0, 16);
    assertThat(read()).hasSize((1 << 16));
    assertThat(peer.room()).isEqualTo(1 << 16);
  }

  @Test
  void stateGoesRound() {
    out(2, 0x81);
    out(1, 3);
    type("hello, this is more than fits");
    out(7, 9);
    byte[] state = TestBoard.save(uart);
    uart.reset();
    TestBoard.restore(uart, state);
    assertThat(TestBoard.save(uart)).isEqualTo(state);
    assertThat(in(0)).isEqualTo('h');
    assertThat(in(7)).isEqualTo(9);
  }
}
