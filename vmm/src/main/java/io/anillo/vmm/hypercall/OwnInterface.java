package io.anillo.vmm.hypercall;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.BlockBackend;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Our own interface for guests that are written to be paravirtual: console, clocks, waiting, exit,
 * and rings for a disk and a network (docs/hypercalls.md). Calls come by VMCALL or VMMCALL, or by a
 * write of a call block's address to {@link #PORT}. All on the board.
 */
public final class OwnInterface implements Device, OwnCalls, PortDevice {
  public static final int VERSION = 1;

  /** Four bytes wide: the guest-physical address of a call block. */
  public static final int PORT = 0xA20;

  static final int CONSOLE = 1, CLOCK = 2, WALL_CLOCK = 3, YIELD = 4, EXIT = 5;
  static final int BLOCK = 6, SEND = 7, RECEIVE = 8;

  private static final int STATE_VERSION = 1;
  private static final int CALL_BLOCK_BYTES = 40;
  private static final int MAXIMUM_TEXT = 1 << 16, MAXIMUM_TRANSFER = 1 << 20;
  private static final int MAXIMUM_ENTRIES = 256, MAXIMUM_FRAME = 1514, RECEIVE_BYTES = 2048;
  private static final int BLOCK_ENTRY = 32, RECEIVE_ENTRY = 16;

  /** Operations of the block ring. */
  private static final int READ = 0, WRITE = 1, FLUSH = 2;

  /** States of an entry of a ring. */
  private static final int SUBMITTED = 1, DONE = 2, FAILED = 3, TAKEN = 4;

  private static final long BAD_ADDRESS = KvmInterface.BAD_ADDRESS;
  private static final long NO_DEVICE = -19, BAD_ARGUMENT = -22;

  /** First byte of a payload: what came. */
  private static final byte BLOCK_ENDED = 0, FRAME_CAME = 1;

  private final Board board;
  private final CharBackend console;
  private final List<BlockBackend> disks;
  private final Optional<CableSplitter> cable;
  private final Runnable wake;
  private final BoardTimer timer;
  private final EventChannel channel;
  private long receiveRing;
  private int receiveEntries;
  private int nextReceive;
  private long framesLost;

  /**
   * Makes the interface and maps its port.
   *
   * @param disks the first of them is the block ring's
   * @param wake ends the HLT of all processors, or their next one
   */
  public OwnInterface(
      Board board,
      CharBackend console,
      List<BlockBackend> disks,
      Optional<CableSplitter> cable,
      Runnable wake) {
    this.board = board;
    this.console = console;
    this.disks = disks;
    this.cable = cable;
    this.wake = wake;
    this.timer = board.timer("hypercall-yield", wake);
    this.channel = board.channel("hypercalls", this::apply);
    board.bus().mapPorts(PORT, 4, this);
  }

  /** Frames that came while no entry of the receive ring was empty. */
  public long framesLost() {
    return framesLost;
  }

  // ---- calls

  @Override
  public long call(int function, long first, long second, long third) {
    return switch (function) {
      case 0 -> VERSION;
      case CONSOLE -> print(first, second);
      case CLOCK -> board.nowNanos();
      case WALL_CLOCK -> board.wallOriginNanos() + board.nowNanos();
      case YIELD -> {
        timer.arm(Math.max(0, first));
        yield 0;
      }
      case EXIT -> {
        board.request(
            first == 0
                ? new MachineRequest.PowerOff()
                : new MachineRequest.DebugExit((int) first & 0x7F));
        yield 0;
      }
      case BLOCK -> submit(first, second);
      case SEND -> send(first, second);
      case RECEIVE -> receive(first, second);
      default -> KvmInterface.NO_SUCH_CALL;
    };
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    return -1;
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    long at = value & 0xFFFF_FFFFL;
    GuestMemory memory = board.memory();
    if (port != PORT || sizeBytes != 4 || !memory.isRam(at, CALL_BLOCK_BYTES)) {
      return;
    }
    long function = memory.getLong(at);
    long result =
        function < 0 || function > 0xFFFF
            ? KvmInterface.NO_SUCH_CALL
            : call(
                (int) function,
                memory.getLong(at + 8),
                memory.getLong(at + 16),
                memory.getLong(at + 24));
    memory.putLong(at + 32, result);
    memory.announceWrite(at + 32, 8);
  }

  private long print(long address, long length) {
    if (length < 0 || length > MAXIMUM_TEXT) {
      return BAD_ARGUMENT;
    }
    byte[] text = new byte[(int) length];
    if (!board.memory().dmaRead(address, text, 0, text.length)) {
      return BAD_ADDRESS;
    }
    console.write(text, 0, text.length);
    return length;
  }

  // ---- the disk

  /** Takes all entries that are submitted. */
  private long submit(long ring, long entries) {
    GuestMemory memory = board.memory();
    if (disks.isEmpty()) {
      return NO_DEVICE;
    }
    if (entries < 1 || entries > MAXIMUM_ENTRIES || (ring & 7) != 0) {
      return BAD_ARGUMENT;
    }
    if (!memory.isRam(ring, entries * BLOCK_ENTRY)) {
      return BAD_ADDRESS;
    }
    long taken = 0;
    for (int i = 0; i < entries; i++) {
      long entry = ring + (long) i * BLOCK_ENTRY;
      if (memory.getInt(entry + 4) == SUBMITTED) {
        taken++;
        start(disks.getFirst(), entry);
      }
    }
    return taken;
  }

  private void start(BlockBackend disk, long entry) {
    GuestMemory memory = board.memory();
    int operation = memory.getInt(entry);
    long offset = memory.getLong(entry + 8);
    long buffer = memory.getLong(entry + 16);
    int length = memory.getInt(entry + 24);
    boolean transfers = operation == READ || operation == WRITE;
    boolean valid =
        operation == FLUSH
            || transfers
                && length > 0
                && length <= MAXIMUM_TRANSFER
                && offset >= 0
                && memory.isRam(buffer, length);
    if (!valid) {
      setStatus(entry, FAILED);
      return;
    }
    setStatus(entry, TAKEN);
    byte[] data = new byte[transfers ? length : 0];
    if (operation == WRITE) {
      memory.dmaRead(buffer, data, 0, length);
    }
    channel.startExternal(
        () -> channel.post(carryOut(disk, operation, offset, data, entry, buffer)));
  }

  /** Outside of the board: the disk may take its time. */
  private static byte[] carryOut(
      BlockBackend disk, int operation, long offset, byte[] data, long entry, long buffer) {
    int status = DONE;
    try {
      switch (operation) {
        case READ -> disk.read(offset, ByteBuffer.wrap(data));
        case WRITE -> disk.write(offset, ByteBuffer.wrap(data));
        default -> disk.flush();
      }
    } catch (IOException e) {
      status = FAILED;
    }
    byte[] read = operation == READ && status == DONE ? data : new byte[0];
    return ByteBuffer.allocate(1 + 8 + 4 + 8 + read.length)
        .put(BLOCK_ENDED)
        .putLong(entry)
        .putInt(status)
        .putLong(buffer)
        .put(read)
        .array();
  }

  private void setStatus(long entry, int status) {
    board.memory().putInt(entry + 4, status);
    board.memory().announceWrite(entry + 4, 4);
  }

  // ---- the network

  private long send(long address, long length) {
    if (cable.isEmpty()) {
      return NO_DEVICE;
    }
    if (length < 14 || length > MAXIMUM_FRAME) {
      return BAD_ARGUMENT;
    }
    byte[] frame = new byte[(int) length];
    if (!board.memory().dmaRead(address, frame, 0, frame.length)) {
      return BAD_ADDRESS;
    }
    cable.get().send(NetworkFrame.of(frame));
    return length;
  }

  private long receive(long ring, long entries) {
    if (cable.isEmpty()) {
      return NO_DEVICE;
    }
    if (entries < 0 || entries > MAXIMUM_ENTRIES || (ring & 7) != 0) {
      return BAD_ARGUMENT;
    }
    if (!board.memory().isRam(ring, Math.max(1, entries) * RECEIVE_ENTRY)) {
      return BAD_ADDRESS;
    }
    receiveRing = ring;
    receiveEntries = (int) entries;
    nextReceive = 0;
    divert();
    return 0;
  }

  private void divert() {
    cable.ifPresent(splitter -> {
      if (receiveEntries == 0) {
        splitter.undivert();
      } else {
        splitter.divert(this::frameCame);
      }
    });
  }

  private boolean frameCame(NetworkFrame frame) {
    if (frame.length() > MAXIMUM_FRAME || frame.checksumStart() >= 0) {
      return false;
    }
    channel.post(
        ByteBuffer.allocate(1 + frame.length())
            .put(FRAME_CAME)
            .put(frame.data(), frame.offset(), frame.length())
            .array());
    return true;
  }

  private void putFrame(byte[] frame) {
    GuestMemory memory = board.memory();
    if (receiveEntries == 0) {
      framesLost++;
      return;
    }
    long entry = receiveRing + (long) nextReceive * RECEIVE_ENTRY;
    long buffer = memory.getLong(entry + 8);
    if (memory.getInt(entry) != SUBMITTED
        || !memory.isRam(buffer, RECEIVE_BYTES)
        || !memory.dmaWrite(buffer, frame, 0, frame.length)) {
      framesLost++;
      return;
    }
    memory.putInt(entry + 4, frame.length);
    memory.putInt(entry, DONE);
    memory.announceWrite(entry, RECEIVE_ENTRY);
    nextReceive = (nextReceive + 1) % receiveEntries;
  }

  // ---- what comes from outside

  private void apply(byte[] payload) {
    if (payload[0] == FRAME_CAME) {
      putFrame(Arrays.copyOfRange(payload, 1, payload.length));
    } else {
      ByteBuffer ended = ByteBuffer.wrap(payload, 1, payload.length - 1);
      long entry = ended.getLong();
      int status = ended.getInt();
      long buffer = ended.getLong();
      byte[] data = new byte[ended.remaining()];
      ended.get(data);
      if (data.length > 0) {
        board.memory().dmaWrite(buffer, data, 0, data.length);
      }
      setStatus(entry, status);
    }
    wake.run();
  }

  // ---- life cycle

  @Override
  public String name() {
    return "hypercalls";
  }

  @Override
  public void reset() {
    receiveRing = 0;
    receiveEntries = 0;
    nextReceive = 0;
    timer.cancel();
    divert();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION);
    out.putLong(receiveRing).putInt(receiveEntries).putInt(nextReceive);
    out.putBoolean(timer.armed()).putLong(timer.deadlineNanos());
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
    receiveRing = in.getLong() & -8;
    receiveEntries = Math.clamp(in.getInt(), 0, MAXIMUM_ENTRIES);
    int next = in.getInt();
    nextReceive = receiveEntries == 0 ? 0 : Math.floorMod(next, receiveEntries);
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    if (armed) {
      timer.arm(deadline);
    }
    divert();
  }
}
