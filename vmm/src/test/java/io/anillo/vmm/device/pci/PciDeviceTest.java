package io.anillo.vmm.device.pci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.machine.TestBoard;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PciDeviceTest {
  private static final int SLOT = 3;
  private final TestBoard board = new TestBoard();
  private final List<String> messages = new ArrayList<>();
  private final boolean[] lines = new boolean[4];
  private final PciHost host = newHost(board);
  private final Probe probe = new Probe("probe");

  PciDeviceTest() {
    host.attach(SLOT, probe);
    host.bridge().reset();
    probe.reset();
  }

  private PciHost newHost(TestBoard on) {
    List<InterruptLine> targets = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      int line = i;
      targets.add(asserted -> lines[line] = asserted);
    }
    return new PciHost(
        on.board.bus(),
        (address, data) ->
            messages.add(Long.toHexString(address) + ":" + Integer.toHexString(data)),
        targets,
        PciWindows.STANDARD);
  }

  @AfterEach
  void close() {
    board.close();
  }

  /** A device with one BAR of each kind. */
  private static final class Probe extends PciDevice {
    final MsixTable msix;
    int register;

    Probe(String name) {
      super(name, new PciIdentity(0x1AF4, 0x1042, 0x018000, 1, 0x1AF4, 0x1100));
      addMemoryBar64(
          0,
          0x4000,
          true,
          new MmioDevice() {
            @Override
            public long readMmio(long offset, int sizeBytes) {
              return 0xA000 + offset;
            }

            @Override
            public void writeMmio(long offset, int sizeBytes, long value) {
              register = (int) (offset + value);
            }
          });
      addIoBar(
          2,
          0x20,
          new PortDevice() {
            @Override
            public int readPort(int port, int sizeBytes) {
              return 0x40 + port;
            }

            @Override
            public void writePort(int port, int sizeBytes, int value) {
              register = port << 8 | value;
            }
          });
      msix = addMsix(3, 5);
      int capability = addCapability(9, 7);
      config().set(capability + 2, 1, 7);
      useInterruptPin();
    }

    void drive(boolean asserted) {
      setInterrupt(asserted);
    }

    @Override
    protected void resetDevice() {
      register = 0;
    }

    @Override
    protected void saveDevice(StateWriter out) {
      out.putInt(register);
    }

    @Override
    protected void restoreDevice(StateReader in) {
      register = in.getInt();
    }
  }

  private int read(int offset, int size) {
    board.board.bus().writePort(0xCF8, 4, 0x80000000 | SLOT << 11 | offset & 0xFC);
    return board.board.bus().readPort(0xCFC + (offset & 3), size);
  }

  private void write(int offset, int size, int value) {
    board.board.bus().writePort(0xCF8, 4, 0x80000000 | SLOT << 11 | offset & 0xFC);
    board.board.bus().writePort(0xCFC + (offset & 3), size, value);
  }

  private long msixBase() {
    return read(0x1C, 4) & 0xFFFFFFF0L;
  }

  private void setMessage(int vector, long address, int data, boolean masked) {
    long entry = msixBase() + 16L * vector;
    board.board.bus().writeMmio(entry, 8, address);
    board.board.bus().writeMmio(entry + 8, 4, data);
    board.board.bus().writeMmio(entry + 12, 4, masked ? 1 : 0);
  }

  @Test
  void headerIsReadThroughBothMechanisms() {
    assertThat(read(0, 4)).isEqualTo(0x10421AF4);
    assertThat(read(8, 4)).isEqualTo(0x01800001);
    assertThat(read(0x0B, 1)).isEqualTo(0x01);
    long ecam = PciWindows.STANDARD.ecamBase() + (SLOT << 15);
    assertThat(board.board.bus().readMmio(ecam, 4)).isEqualTo(0x10421AF4L);
    assertThat(board.board.bus().readMmio(ecam + 0x100, 4)).isZero();
    assertThat(board.board.bus().readMmio(ecam + 0x1000, 4))
        .as("function 1")
        .isEqualTo(0xFFFFFFFFL);
  }

  @Test
  void absentDevicesReadAsOnes() {
    board.board.bus().writePort(0xCF8, 4, 0x80000000 | 9 << 11);
    assertThat(board.board.bus().readPort(0xCFC, 4)).isEqualTo(-1);
    board.board.bus().writePort(0xCF8, 4, SLOT << 11);
    assertThat(board.board.bus().readPort(0xCFC, 4)).as("without the enable bit").isEqualTo(-1);
  }

  @Test
  void capabilitiesAreLinked() {
    assertThat(read(6, 2) & 0x10).isEqualTo(0x10);
    int first = read(0x34, 1);
    assertThat(read(first, 1)).isEqualTo(0x11);
    int second = read(first + 1, 1);
    assertThat(read(second, 1)).isEqualTo(9);
    assertThat(read(second + 1, 1)).isZero();
  }

  @Test
  void sizesAreFoundByWritingOnes() {
    write(0x10, 4, -1);
    write(0x14, 4, -1);
    write(0x18, 4, -1);
    assertThat(read(0x10, 4)).isEqualTo(0xFFFFC00C);
    assertThat(read(0x14, 4)).isEqualTo(-1);
    assertThat(read(0x18, 4)).isEqualTo(0xFFFFFFE1);
    write(0x24, 4, -1);
    assertThat(read(0x24, 4)).as("BAR 5 does not exist").isZero();
  }

  @Test
  void regionsFollowTheirRegisters() {
    var bus = board.board.bus();
    host.assignResources(10, 11, 10, 11);
    long base = read(0x10, 4) & 0xFFFFFFF0L;
    assertThat(bus.readMmio(base + 4, 2)).isEqualTo(0xA004);
    write(0x10, 4, 0xD0000000);
    write(0x14, 4, 0x40);
    assertThat(bus.readMmio(base + 4, 2)).isEqualTo(0xFFFF);
    assertThat(bus.readMmio(0x40D0000008L, 2)).isEqualTo(0xA008);
    int port = read(0x18, 4) & ~3;
    assertThat(bus.readPort(port + 5, 1)).isEqualTo(0x45);
    write(4, 2, 0);
    assertThat(bus.readPort(port + 5, 1)).isEqualTo(0xFF);
    assertThat(bus.readMmio(0x40D0000008L, 2)).isEqualTo(0xFFFF);
    assertThat(read(0x3C, 1)).isEqualTo(11);
  }

  @Test
  void aRegionOverAnotherDeviceIsNotReachableUntilItMoves() {
    var bus = board.board.bus();
    host.assignResources(10, 11, 10, 11);
    write(0x1C, 4, (int) PciWindows.STANDARD.ecamBase());
    assertThat(bus.readMmio(PciWindows.STANDARD.ecamBase() + (SLOT << 15), 2)).isEqualTo(0x1AF4);
    write(0x1C, 4, 0xD8000000);
    bus.writeMmio(0xD8000008L, 4, 77);
    assertThat(bus.readMmio(0xD8000008L, 4)).isEqualTo(77);
  }

  @Test
  void messagesAreSentMaskedAndPending() {
    host.assignResources(10, 11, 10, 11);
    write(4, 2, 7);
    int capability = read(0x34, 1);
    write(capability + 2, 2, 0x8000);
    setMessage(1, 0xFEE00000L, 0x41, false);
    setMessage(2, 0xFEE01000L, 0x42, true);
    probe.msix.signal(1);
    probe.msix.signal(2);
    probe.msix.signal(99);
    assertThat(messages).containsExactly("fee00000:41");
    long pendingBits = msixBase() + (read(capability + 8, 4) & ~7);
    assertThat(board.board.bus().readMmio(pendingBits, 8)).isEqualTo(4);
    setMessage(2, 0xFEE01000L, 0x42, false);
    assertThat(messages).containsExactly("fee00000:41", "fee01000:42");
    write(capability + 2, 2, 0xC000);
    probe.msix.signal(1);
    assertThat(messages).hasSize(2);
    write(capability + 2, 2, 0x8000);
    assertThat(messages).hasSize(3);
    write(4, 2, 3);
    probe.msix.signal(1);
    assertThat(messages).as("not a bus master").hasSize(3);
  }

  @Test
  void theInterruptPinIsSharedDisabledAndReplacedByMessages() {
    probe.drive(true);
    assertThat(lines[SLOT & 3]).isTrue();
    assertThat(read(6, 2) & 8).isEqualTo(8);
    write(4, 2, 0x400);
    assertThat(lines[SLOT & 3]).isFalse();
    write(4, 2, 0);
    assertThat(lines[SLOT & 3]).isTrue();
    write(read(0x34, 1) + 2, 2, 0x8000);
    assertThat(lines[SLOT & 3]).isFalse();
    Probe neighbour = new Probe("neighbour");
    host.attach(SLOT + 4, neighbour);
    neighbour.drive(true);
    assertThat(lines[SLOT & 3]).isTrue();
    neighbour.drive(false);
    assertThat(lines[SLOT & 3]).isFalse();
  }

  @Test
  void stateGoesRound() {
    host.assignResources(10, 11, 10, 11);
    write(4, 2, 7);
    write(0x10, 4, 0xD4000000);
    write(read(0x34, 1) + 2, 2, 0x8000);
    setMessage(4, 0xFEE02000L, 0x99, true);
    probe.msix.signal(4);
    probe.register = 1234;
    probe.drive(true);
    byte[] state = TestBoard.save(probe);
    try (TestBoard other = new TestBoard()) {
      Probe copy = new Probe("probe");
      PciHost otherHost = newHost(other);
      otherHost.attach(SLOT, copy);
      copy.reset();
      TestBoard.restore(copy, state);
      assertThat(TestBoard.save(copy)).isEqualTo(state);
      assertThat(copy.register).isEqualTo(1234);
      assertThat(other.board.bus().readMmio(0xD4000000L, 2)).isEqualTo(0xA000);
    }
    Probe foreign = new Probe("foreign");
    assertThatThrownBy(() -> TestBoard.restore(foreign, state)).isInstanceOf(StateException.class);
  }
}
