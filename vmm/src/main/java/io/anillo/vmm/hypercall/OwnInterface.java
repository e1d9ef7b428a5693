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
  static final long NO_DEVICE = -19, BAD_ARGUMENT = -22;

  private static final int STATE_VERSION = 2;
  private static final int CALL_BLOCK_BYTES = 40;
  private static final int MAXIMUM_TEXT = 1 << 16, MAXIMUM_STATUS = 127, ETHERNET_BYTES = 14;
  private static final long BAD_ADDRESS = KvmInterface.BAD_ADDRESS;

  private final Board board;
  private final CharBackend console;
  private final Optional<CableSplitter> cable;
  private final Runnable wake;
  private final BoardTimer timer;
  private final Optional<BlockRing> blockRing;
  private final ReceiveRing receiveRing;

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
    this.cable = cable;
    this.wake = wake;
    this.timer = board.timer("hypercall-yield", wake);
    EventChannel channel = board.channel("hypercalls", this::apply);
    this.blockRing = disks.stream().findFirst().map(disk -> new BlockRing(board, disk, channel));
    this.receiveRing = new ReceiveRing(board, cable, channel);
    board.bus().mapPorts(PORT, 4, this);
  }

  /** Frames that came while no entry of the receive ring was empty. */
  public long framesLost() {
    return receiveRing.lost();
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
      case EXIT -> exit(first);
      case BLOCK -> blockRing.map(ring -> ring.submit(first, second)).orElse(NO_DEVICE);
      case SEND -> send(first, second);
      case RECEIVE -> receiveRing.give(first, second);
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

  private long exit(long status) {
    if (status < 0 || status > MAXIMUM_STATUS) {
      return BAD_ARGUMENT;
    }
    board.request(
        status == 0 ? new MachineRequest.PowerOff() : new MachineRequest.DebugExit((int) status));
    return 0;
  }

  private long send(long address, long length) {
    if (cable.isEmpty()) {
      return NO_DEVICE;
    }
    if (length < ETHERNET_BYTES || length > ReceiveRing.MAXIMUM_FRAME) {
      return BAD_ARGUMENT;
    }
    byte[] frame = new byte[(int) length];
    if (!board.memory().dmaRead(address, frame, 0, frame.length)) {
      return BAD_ADDRESS;
    }
    cable.get().send(NetworkFrame.of(frame));
    return length;
  }

  /** What the rings have posted, told apart by the first byte. */
  private void apply(byte[] payload) {
    if (payload[0] == ReceiveRing.FRAME_CAME) {
      receiveRing.apply(payload);
    } else {
      blockRing.ifPresent(ring -> ring.apply(payload));
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
    timer.cancel();
    blockRing.ifPresent(BlockRing::reset);
    receiveRing.reset();
  }

  @Override
  public void pause() {
    receiveRing.pause();
  }

  @Override
  public void resume() {
    receiveRing.resume();
  }

  @Override
  public void save(StateWriter out) {
    out.record(name(), STATE_VERSION);
    receiveRing.save(out);
    out.putBoolean(timer.armed()).putLong(timer.deadlineNanos());
    out.putLong(blockRing.map(BlockRing::nextNumber).orElse(0L));
  }

  @Override
  public void restore(StateReader in) {
    int version = in.record(name(), STATE_VERSION);
    receiveRing.restore(in);
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    if (armed) {
      timer.arm(deadline);
    }
    long number = version < 2 ? 0 : in.getLong();
    blockRing.ifPresent(ring -> ring.restore(number));
  }
}
