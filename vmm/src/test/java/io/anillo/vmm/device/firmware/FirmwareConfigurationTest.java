package io.anillo.vmm.device.firmware;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.machine.TestBoard;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class FirmwareConfigurationTest {
  private static final int REQUEST = 0x1000, BUFFER = 0x2000;
  private final TestBoard board = new TestBoard();
  private final FirmwareConfiguration firmware = new FirmwareConfiguration(board.board);

  FirmwareConfigurationTest() {
    firmware.setKernel(
        new byte[] {1},
        "KERNEL".getBytes(StandardCharsets.US_ASCII),
        new byte[] {7, 8, 9},
        "console=ttyS0");
    firmware.addFile("opt/first", new byte[10]);
    firmware.addFile("opt/second", "second".getBytes(StandardCharsets.US_ASCII));
    firmware.reset();
  }

  @AfterEach
  void close() {
    board.close();
  }

  private String read(int key, int length) {
    board.board.bus().writePort(0x510, 2, key);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < length; i++) {
      text.append((char) board.in(0x511));
    }
    return text.toString();
  }

  private int transfer(int control, int length, long address) {
    byte[] request =
        ByteBuffer.allocate(16).putInt(control).putInt(length).putLong(address).array();
    board.memory.write(REQUEST, request, 0, 16);
    board.board.bus().writePort(0x514, 4, 0);
    board.board.bus().writePort(0x518, 4, Integer.reverseBytes(REQUEST));
    return Integer.reverseBytes(board.memory.getInt(REQUEST));
  }

  @Test
  void itemsAreReadByteByByte() {
    assertThat(read(FirmwareConfiguration.SIGNATURE, 4)).isEqualTo("QEMU");
    assertThat(read(FirmwareConfiguration.ID, 1)).isEqualTo("\3");
    assertThat(read(FirmwareConfiguration.KERNEL_DATA, 8)).isEqualTo("KERNEL\0\0");
    assertThat(read(FirmwareConfiguration.KERNEL_SIZE, 1)).isEqualTo("\6");
    assertThat(read(FirmwareConfiguration.COMMAND_LINE_DATA, 13)).isEqualTo("console=ttyS0");
    assertThat(read(0x3FFF, 2)).isEqualTo("\0\0");
  }

  @Test
  void filesAreListedInTheDirectory() {
    String directory = read(FirmwareConfiguration.FILE_DIRECTORY, 4 + 128);
    assertThat(directory.charAt(3)).isEqualTo((char) 2);
    assertThat(directory.substring(4 + 64 + 8)).startsWith("opt/second\0");
    assertThat(directory.charAt(4 + 64 + 3)).isEqualTo((char) 6);
    int key = directory.charAt(4 + 64 + 4) << 8 | directory.charAt(4 + 64 + 5);
    assertThat(read(key, 6)).isEqualTo("second");
  }

  @Test
  void dmaReadsSkipsAndReportsErrors() {
    assertThat(board.board.bus().readPort(0x514, 4)).isEqualTo(Integer.reverseBytes(0x51454D55));
    assertThat(transfer(FirmwareConfiguration.KERNEL_DATA << 16 | 8 | 4, 2, 0)).isZero();
    board.memory.fill(BUFFER, 16, (byte) 0xEE);
    assertThat(transfer(2, 8, BUFFER)).isZero();
    byte[] got = new byte[9];
    board.memory.read(BUFFER, got, 0, 9);
    assertThat(got).containsExactly('R', 'N', 'E', 'L', 0, 0, 0, 0, 0xEE);
    assertThat(transfer(FirmwareConfiguration.KERNEL_DATA << 16 | 8 | 2, 8, 0xFFFF_FFFF_FFFF_FFF0L))
        .isEqualTo(1);
    assertThat(transfer(2, -1, BUFFER)).isEqualTo(1);
    assertThat(transfer(16, 1, BUFFER)).as("writing").isEqualTo(1);
  }

  @Test
  void stateGoesRound() {
    read(FirmwareConfiguration.KERNEL_DATA, 2);
    byte[] state = TestBoard.save(firmware);
    firmware.reset();
    TestBoard.restore(firmware, state);
    assertThat((char) board.in(0x511)).isEqualTo('R');
  }

  @Test
  void theMemoryMapHasNoOverlapsAndAllOfRam() {
    for (long ram : new long[] {1 << 20, 64 << 20, 3L << 30, 6L << 30}) {
      PhysicalMemoryMap map =
          new PhysicalMemoryMap(ram, io.anillo.vmm.device.pci.PciWindows.STANDARD);
      long end = 0;
      long usable = 0;
      for (PhysicalMemoryMap.Range range : map.ranges()) {
        assertThat(range.base()).isGreaterThanOrEqualTo(end);
        end = range.end();
        usable += range.kind() == PhysicalMemoryMap.Kind.RAM ? range.sizeBytes() : 0;
      }
      assertThat(usable).isEqualTo(ram - (0x100000 - PhysicalMemoryMap.EBDA));
      assertThat(map.e820()).hasSize(map.ranges().size() * 20);
    }
  }
}
