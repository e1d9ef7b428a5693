package io.anillo.vmm.hypercall;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * The block ring of our own interface: entries in guest memory that are carried out on a disk
 * (docs/hypercalls.md). On the board, but for the disk's own work.
 *
 * <p>Bounds: at most {@link #MAXIMUM_UNDER_WAY} entries with {@link #MAXIMUM_BYTES_UNDER_WAY} are
 * carried out at once, however often a guest calls; further ones stay submitted.
 */
final class BlockRing {
  static final int MAXIMUM_ENTRIES = 256, MAXIMUM_UNDER_WAY = 256;
  static final int MAXIMUM_TRANSFER = 1 << 20, MAXIMUM_BYTES_UNDER_WAY = 32 << 20;
  static final int ENTRY_BYTES = 32;

  /** First byte of a payload that this ring posts. */
  static final byte BLOCK_ENDED = 0;

  /** Operations. */
  static final int READ = 0, WRITE = 1, FLUSH = 2;

  /** States of an entry. */
  static final int SUBMITTED = 1, DONE = 2, FAILED = 3, TAKEN = 4;

  private static final int HEADER_BYTES = 1 + 8 + 4;

  private final Board board;
  private final BlockBackend disk;
  private final EventChannel channel;
  private final Map<Long, UnderWay> underWay = new HashMap<>();
  private int bytesUnderWay;
  private long nextNumber;

  /** Where the result of a transfer goes. */
  private record UnderWay(long entry, long buffer, int bytes) {}

  BlockRing(Board board, BlockBackend disk, EventChannel channel) {
    this.board = board;
    this.disk = disk;
    this.channel = channel;
  }

  /**
   * Takes the entries that are submitted, as many as may be under way.
   *
   * @return how many, or what was wrong
   */
  long submit(long ring, long entries) {
    GuestMemory memory = board.memory();
    if (entries < 1 || entries > MAXIMUM_ENTRIES || (ring & 7) != 0) {
      return OwnInterface.BAD_ARGUMENT;
    }
    if (!memory.isRam(ring, entries * ENTRY_BYTES)) {
      return KvmInterface.BAD_ADDRESS;
    }
    long taken = 0;
    for (int i = 0; i < entries; i++) {
      long entry = ring + (long) i * ENTRY_BYTES;
      if (memory.getInt(entry + 4) == SUBMITTED) {
        if (!take(entry)) {
          break;
        }
        taken++;
      }
    }
    return taken;
  }

  /** Starts an entry, or fails it; false when there is no room for it now. */
  private boolean take(long entry) {
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
      return true;
    }
    int bytes = transfers ? length : 0;
    if (underWay.size() >= MAXIMUM_UNDER_WAY || bytesUnderWay + bytes > MAXIMUM_BYTES_UNDER_WAY) {
      return false;
    }
    setStatus(entry, TAKEN);
    byte[] data = new byte[bytes];
    if (operation == WRITE) {
      memory.dmaRead(buffer, data, 0, length);
    }
    long number = nextNumber++;
    underWay.put(number, new UnderWay(entry, buffer, bytes));
    bytesUnderWay += bytes;
    channel.startExternal(() -> channel.post(carryOut(disk, operation, offset, data, number)));
    return true;
  }

  /** Outside of the board: the disk may take its time. */
  private static byte[] carryOut(
      BlockBackend disk, int operation, long offset, byte[] data, long number) {
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
    return ByteBuffer.allocate(HEADER_BYTES + read.length)
        .put(BLOCK_ENDED)
        .putLong(number)
        .putInt(status)
        .put(read)
        .array();
  }

  /** Applies what an entry has come to, unless a reset has done away with it. */
  void apply(byte[] payload) {
    ByteBuffer ended = ByteBuffer.wrap(payload, 1, payload.length - 1);
    UnderWay was = underWay.remove(ended.getLong());
    int status = ended.getInt();
    if (was == null) {
      return;
    }
    bytesUnderWay -= was.bytes();
    if (ended.hasRemaining()) {
      board.memory().dmaWrite(was.buffer(), payload, HEADER_BYTES, ended.remaining());
    }
    setStatus(was.entry(), status);
  }

  private void setStatus(long entry, int status) {
    board.memory().putInt(entry + 4, status);
    board.memory().announceWrite(entry + 4, 4);
  }

  /** What names the next entry: nothing else is kept, since nothing is under way then. */
  long nextNumber() {
    return nextNumber;
  }

  void restore(long savedNumber) {
    nextNumber = savedNumber;
  }

  /** What is under way then is no longer the guest's. */
  void reset() {
    underWay.clear();
    bytesUnderWay = 0;
  }
}
