package io.anillo.vmm.device.chipset;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * A port to which a guest writes characters and nothing else happens: 0xE9 as in Bochs, 0x402 as
 * firmwares use it. Reading gives the value by which guests find it.
 */
public final class DebugConsole implements Device, BytePortDevice {
  public static final int BOCHS_PORT = 0xE9, FIRMWARE_PORT = 0x402;
  private static final int STATE_VERSION = 1;
  private static final long FLUSH_DELAY_NANOS = 1_000_000;

  private final Board board;
  private final int port;
  private final CharBackend backend;
  private final BoardTimer flushTimer;
  private final byte[] buffer = new byte[256];
  private int length;

  public DebugConsole(Board board, int port, CharBackend backend) {
    this.board = board;
    this.port = port;
    this.backend = backend;
    this.flushTimer = board.timer(name() + "-flush", this::flush);
    board.bus().mapPorts(port, 1, this);
  }

  @Override
  public int readByte(int read) {
    return read == port ? 0xE9 : 0xFF;
  }

  @Override
  public void writeByte(int written, int value) {
    if (written != port) {
      return;
    }
    if (length == 0) {
      flushTimer.arm(board.nowNanos() + FLUSH_DELAY_NANOS);
    }
    buffer[length++] = (byte) value;
    if (value == '\n' || length == buffer.length) {
      flush();
    }
  }

  private void flush() {
    flushTimer.cancel();
    int gathered = length;
    length = 0;
    if (gathered > 0) {
      backend.write(buffer, 0, gathered);
    }
  }

  @Override
  public String name() {
    return "debug-console-" + Integer.toHexString(port);
  }

  @Override
  public void reset() {
    flush();
  }

  @Override
  public void pause() {
    flush();
  }

  @Override
  public void stop() {
    flush();
    try {
      backend.close();
    } catch (IOException e) {
      throw new UncheckedIOException(
          "the backend of " + name() + " cannot be closed: " + e.getMessage(), e);
    }
  }

  @Override
  public void save(StateWriter out) {
    flush();
    out.record(name(), STATE_VERSION);
  }

  @Override
  public void restore(StateReader in) {
    in.record(name(), STATE_VERSION);
  }
}
