package io.anillo.vmm.device.firmware;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * fw_cfg: items of data by number and by name, read through ports 0x510 and 0x511 or by DMA through
 * 0x514 (QEMU, docs/specs/fw_cfg.rst). Items are read-only and are set before the machine runs.
 */
public final class FirmwareConfiguration implements Device, PortDevice {
  public static final int SIGNATURE = 0x00, ID = 0x01, RAM_SIZE = 0x03, CPU_COUNT = 0x05;
  public static final int KERNEL_SIZE = 0x08, INITRD_SIZE = 0x0B, MAXIMUM_CPUS = 0x0F;
  public static final int KERNEL_DATA = 0x11,
      INITRD_DATA = 0x12,
      COMMAND_LINE_SIZE = 0x14,
      COMMAND_LINE_DATA = 0x15;
  public static final int SETUP_SIZE = 0x17,
      SETUP_DATA = 0x18,
      FILE_DIRECTORY = 0x19,
      FIRST_FILE = 0x20;

  private static final int STATE_VERSION = 1;
  private static final int SELECTOR = 0x510, DATA = 0x511, DMA_HIGH = 0x514, DMA_LOW = 0x518;
  private static final int CONTROL_ERROR = 1,
      CONTROL_READ = 2,
      CONTROL_SKIP = 4,
      CONTROL_SELECT = 8,
      CONTROL_WRITE = 16;
  private static final int FILE_NAME_BYTES = 56;
  private static final byte[] NOTHING = {};

  private record File(String name, int key, int sizeBytes) {}

  private final GuestMemory memory;
  private final Map<Integer, byte[]> items = new HashMap<>();
  private final List<File> files = new ArrayList<>();
  private int selected;
  private int position;
  private long dmaAddress;

  public FirmwareConfiguration(Board board) {
    this.memory = board.memory();
    board.bus().mapPorts(SELECTOR, 2, this);
    board.bus().mapPorts(DMA_HIGH, 8, this);
    setItem(SIGNATURE, "QEMU".getBytes(StandardCharsets.US_ASCII));
    setNumber(ID, 3, 4);
    setItem(FILE_DIRECTORY, new byte[4]);
  }

  /** Sets an item. The array is kept, not copied: kernels are large. */
  public void setItem(int key, byte[] data) {
    if (key < 0 || key > 0xFFFF) {
      throw new IllegalArgumentException("fw_cfg item " + key + " does not exist");
    }
    items.put(key, data);
  }

  /** Sets an item to a little-endian number. */
  public void setNumber(int key, long value, int sizeBytes) {
    byte[] data = new byte[sizeBytes];
    for (int i = 0; i < sizeBytes; i++) {
      data[i] = (byte) (value >>> 8 * i);
    }
    setItem(key, data);
  }

  /** Adds a named file, listed in the directory. */
  public void addFile(String name, byte[] data) {
    byte[] ascii = name.getBytes(StandardCharsets.US_ASCII);
    if (ascii.length >= FILE_NAME_BYTES) {
      throw new IllegalArgumentException(
          "fw_cfg file name '" + name + "' is longer than 55 characters");
    }
    int key = FIRST_FILE + files.size();
    files.add(new File(name, key, data.length));
    setItem(key, data);
    ByteBuffer directory = ByteBuffer.allocate(4 + files.size() * 64).order(ByteOrder.BIG_ENDIAN);
    directory.putInt(files.size());
    for (File file : files) {
      int at = directory.position();
      directory.putInt(file.sizeBytes).putShort((short) file.key).putShort((short) 0);
      directory.put(file.name.getBytes(StandardCharsets.US_ASCII)).position(at + 64);
    }
    setItem(FILE_DIRECTORY, directory.array());
  }

  /** A kernel for a firmware to load: setup part, protected-mode part, initrd and command line. */
  public void setKernel(byte[] setup, byte[] kernel, byte[] initrd, String commandLine) {
    setNumber(SETUP_SIZE, setup.length, 4);
    setItem(SETUP_DATA, setup);
    setNumber(KERNEL_SIZE, kernel.length, 4);
    setItem(KERNEL_DATA, kernel);
    setNumber(INITRD_SIZE, initrd.length, 4);
    setItem(INITRD_DATA, initrd);
    byte[] terminated = (commandLine + "\0").getBytes(StandardCharsets.UTF_8);
    setNumber(COMMAND_LINE_SIZE, terminated.length, 4);
    setItem(COMMAND_LINE_DATA, terminated);
  }

  private byte[] current() {
    return items.getOrDefault(selected, NOTHING);
  }

  private void select(int key) {
    // Bit 14 asked for writing, long ago; it is ignored.
    selected = key & ~0x4000;
    position = 0;
  }

  private int nextByte() {
    byte[] data = current();
    return position < data.length ? data[position++] & 0xFF : 0;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    if (port == DATA) {
      int value = 0;
      for (int i = 0; i < sizeBytes; i++) {
        value |= nextByte() << 8 * i;
      }
      return value;
    }
    if (port == DMA_HIGH && sizeBytes == 4) {
      return Integer.reverseBytes(0x51454D55); // "QEMU"
    }
    if (port == DMA_LOW && sizeBytes == 4) {
      return Integer.reverseBytes(0x20434647); // " CFG"
    }
    return port == SELECTOR ? 0 : -1;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    if (port == SELECTOR && sizeBytes >= 2) {
      select(value & 0xFFFF);
    } else if (port == DMA_HIGH && sizeBytes == 4) {
      dmaAddress = (long) Integer.reverseBytes(value) << 32;
    } else if (port == DMA_LOW && sizeBytes == 4) {
      long address = dmaAddress & 0xFFFFFFFF00000000L | Integer.reverseBytes(value) & 0xFFFFFFFFL;
      dmaAddress = 0;
      transfer(address);
    }
  }

  private void transfer(long request) {
    byte[] header = new byte[16];
    if (!memory.dmaRead(request, header, 0, header.length)) {
      return; // nowhere to report to
    }
    ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.BIG_ENDIAN);
    int control = fields.getInt();
    long length = fields.getInt() & 0xFFFFFFFFL;
    long address = fields.getLong();
    if ((control & CONTROL_SELECT) != 0) {
      select(control >>> 16);
    }
    int result = 0;
    if ((control & CONTROL_READ) != 0) {
      result = readTo(address, length) ? 0 : CONTROL_ERROR;
    } else if ((control & CONTROL_WRITE) != 0) {
      result = CONTROL_ERROR; // all items are read-only
    } else if ((control & CONTROL_SKIP) != 0) {
      position = (int) Math.min(current().length, position + length);
    }
    byte[] answer = ByteBuffer.allocate(4).putInt(result).array();
    memory.dmaWrite(request, answer, 0, 4);
  }

  /** Copies from the item; zeros follow its end. */
  private boolean readTo(long address, long length) {
    if (!memory.isRam(address, length)) {
      return false;
    }
    byte[] data = current();
    int available = (int) Math.min(length, data.length - position);
    memory.write(address, data, position, available);
    memory.fill(address + available, length - available, (byte) 0);
    memory.announceWrite(address, length);
    position += available;
    return true;
  }

  @Override
  public String name() {
    return "fw-cfg";
  }

  @Override
  public void reset() {
    selected = 0;
    position = 0;
    dmaAddress = 0;
  }

  /** The items belong to the machine's configuration, not to its state. */
  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION).putInt(selected).putInt(position).putLong(dmaAddress);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    selected = in.getInt() & 0xFFFF;
    position = in.getInt();
    dmaAddress = in.getLong();
    if (position < 0 || position > current().length) {
      throw new StateException("fw_cfg item " + selected + " is shorter than in the saved machine");
    }
  }
}
