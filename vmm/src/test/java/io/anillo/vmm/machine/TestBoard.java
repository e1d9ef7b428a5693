package io.anillo.vmm.machine;

import io.anillo.vmm.device.Device;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/** A real board with a clock moved by hand, for tests of devices. */
public final class TestBoard implements AutoCloseable {
  /** 2024-02-28T23:59:58Z, a Wednesday before a leap day. */
  public static final long WALL_ORIGIN = 1_709_164_798L * 1_000_000_000L;

  public final ManualClock clock = new ManualClock(WALL_ORIGIN);
  public final GuestMemory memory = new GuestMemory(4 << 20);
  public final BoardExecutor board;

  public TestBoard() {
    board =
        BoardExecutor.live(
            memory, clock, destination -> java.util.Arrays.fill(destination, (byte) 0x5A));
    board.clock().start();
  }

  /** Lets time pass, timer by timer. */
  public void advance(long nanos) {
    long end = board.clock().nanos() + nanos;
    while (true) {
      long until = board.nanosUntilNextDeadline();
      long now = board.clock().nanos();
      if (until > end - now) {
        break;
      }
      clock.advance(until);
      board.runPending();
    }
    clock.advance(end - board.clock().nanos());
    board.runPending();
  }

  public int in(int port) {
    return board.bus().readPort(port, 1);
  }

  public void out(int port, int value) {
    board.bus().writePort(port, 1, value);
  }

  /** The bytes a device saves. */
  public static byte[] save(Device device) {
    StateWriter out = new StateWriter();
    device.save(out);
    return out.toByteArray();
  }

  /** Restores a device, checking that everything is consumed. */
  public static void restore(Device device, byte[] state) {
    StateReader in = new StateReader(state);
    device.restore(in);
    if (!in.atEnd()) {
      throw new AssertionError(device.name() + " left a part of its state unread");
    }
  }

  @Override
  public void close() {
    board.close();
    memory.close();
  }
}
