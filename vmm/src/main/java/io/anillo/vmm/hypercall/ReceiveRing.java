package io.anillo.vmm.hypercall;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.virtio.InputGate;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.NetworkFrame;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * The receive ring of our own interface: entries in guest memory that frames are put into, in order
 * (docs/hypercalls.md). On the board, but for frames that come; those wait at a gate that lets in
 * only so many of them ahead of the board.
 */
final class ReceiveRing {
  static final int MAXIMUM_ENTRIES = 256, MAXIMUM_FRAME = 1514, ENTRY_BYTES = 16;
  static final int MAXIMUM_BACKLOG_BYTES = 1 << 20;

  /** First byte of a payload that this ring posts. */
  static final byte FRAME_CAME = 1;

  /** States of an entry. */
  static final int EMPTY = 1, FILLED = 2;

  private static final int BUFFER_BYTES = 2048;

  /** About what a payload costs besides its bytes. */
  private static final int OVERHEAD_BYTES = 64;

  private final Board board;
  private final Optional<CableSplitter> cable;
  private final InputGate gate;
  private long ring;
  private int entries;
  private int next;
  private long lost;

  ReceiveRing(Board board, Optional<CableSplitter> cable, EventChannel channel) {
    this.board = board;
    this.cable = cable;
    this.gate = new InputGate(channel, MAXIMUM_BACKLOG_BYTES);
  }

  /** Frames that came while no entry was empty. */
  long lost() {
    return lost + gate.dropped();
  }

  /**
   * Takes a ring that the guest gives; with no entries, frames go to the card again.
   *
   * @return 0, or what was wrong
   */
  long give(long newRing, long newEntries) {
    if (cable.isEmpty()) {
      return OwnInterface.NO_DEVICE;
    }
    if (newEntries < 0 || newEntries > MAXIMUM_ENTRIES || (newRing & 7) != 0) {
      return OwnInterface.BAD_ARGUMENT;
    }
    if (newEntries > 0 && !board.memory().isRam(newRing, newEntries * ENTRY_BYTES)) {
      return KvmInterface.BAD_ADDRESS;
    }
    ring = newRing;
    entries = (int) newEntries;
    next = 0;
    divert();
    return 0;
  }

  private void divert() {
    cable.ifPresent(splitter -> {
      if (entries == 0) {
        splitter.undivert();
      } else {
        splitter.divert(this::frameCame);
      }
    });
  }

  /** From any thread. */
  private boolean frameCame(NetworkFrame frame) {
    if (frame.length() > MAXIMUM_FRAME
        || frame.checksumStart() >= 0
        || !gate.reserve(1 + frame.length() + OVERHEAD_BYTES)) {
      return false;
    }
    gate.enter(
        ByteBuffer.allocate(1 + frame.length())
            .put(FRAME_CAME)
            .put(frame.data(), frame.offset(), frame.length())
            .array());
    return true;
  }

  /** Puts a frame into the next entry, if that is empty. */
  void apply(byte[] payload) {
    gate.consumed(payload.length + OVERHEAD_BYTES);
    if (!put(payload, 1, payload.length - 1)) {
      lost++;
    }
  }

  private boolean put(byte[] frame, int offset, int length) {
    GuestMemory memory = board.memory();
    if (entries == 0) {
      return false;
    }
    long entry = ring + (long) next * ENTRY_BYTES;
    if (!memory.isRam(entry, ENTRY_BYTES) || memory.getInt(entry) != EMPTY) {
      return false;
    }
    long buffer = memory.getLong(entry + 8);
    if (!memory.isRam(buffer, BUFFER_BYTES) || !memory.dmaWrite(buffer, frame, offset, length)) {
      return false;
    }
    memory.putInt(entry + 4, length);
    memory.putInt(entry, FILLED);
    memory.announceWrite(entry, ENTRY_BYTES);
    next = (next + 1) % entries;
    return true;
  }

  // ---- life cycle

  void pause() {
    gate.close();
  }

  void resume() {
    gate.open();
  }

  void reset() {
    ring = 0;
    entries = 0;
    next = 0;
    divert();
  }

  void save(StateWriter out) {
    out.putLong(ring).putInt(entries).putInt(next);
  }

  void restore(StateReader in) {
    ring = in.getLong() & -8;
    entries = Math.clamp(in.getInt(), 0, MAXIMUM_ENTRIES);
    int saved = in.getInt();
    next = entries == 0 ? 0 : Math.floorMod(saved, entries);
    divert();
  }
}
