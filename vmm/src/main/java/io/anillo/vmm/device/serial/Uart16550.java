package io.anillo.vmm.device.serial;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.BytePortDevice;
import io.anillo.vmm.device.Device;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.InterruptLine;
import io.anillo.vmm.port.CharBackend;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A 16550A serial line (National Semiconductor PC16550D data sheet). Sending takes no time. What
 * the guest sends is gathered and handed to the backend in pieces: at a line's end, when the buffer
 * is full, or a moment after the first byte.
 *
 * <p>The peer is patient: what it sends waits in a backlog while the guest is not ready for it, so
 * that input from a pipe or typed ahead is there when somebody reads it. The guest is not ready
 * after it has emptied the FIFO and before it has enabled the receiver's interrupt or polls for
 * data; and while it has lowered RTS, once it has shown that it raises it.
 */
public final class Uart16550 implements Device, BytePortDevice {
  public static final int COM1 = 0x3F8, COM2 = 0x2F8;

  private static final int STATE_VERSION = 2;
  private static final int FIFO_BYTES = 16;
  private static final int OUTPUT_BYTES = 1024;
  private static final long OUTPUT_DELAY_NANOS = 1_000_000;

  /** What a peer may send ahead of the guest's reading; more is lost. */
  private static final int BACKLOG_BYTES = 1 << 16;

  /**
   * A guest that reads the line status so often without sending polls for data. One that waits
   * until it may send needs a single reading, since the transmitter is always empty.
   */
  private static final int POLLS = 16;

  private static final int IER_DATA = 1, IER_TRANSMIT = 2, IER_LINE = 4, IER_MODEM = 8;
  private static final int LSR_DATA = 1, LSR_OVERRUN = 2, LSR_TRANSMIT_EMPTY = 0x60;
  private static final int MCR_RTS = 2, MCR_OUT2 = 8, MCR_LOOP = 16;
  private static final int CLOCK = 115_200;

  private final String name;
  private final int base;
  private final Board board;
  private final InterruptLine interrupt;
  private final CharBackend backend;
  private final EventChannel channel;
  private final BoardTimer flushTimer;
  private final BoardTimer idleTimer;

  private final ByteRing received = new ByteRing(FIFO_BYTES);
  private final ByteRing backlog = new ByteRing(BACKLOG_BYTES);
  private final byte[] output = new byte[OUTPUT_BYTES];
  private int outputLength;

  private int interruptEnable;
  private int fifoControl;
  private int lineControl;
  private int modemControl;
  private int lineStatus;
  private int modemStatus;
  private int scratch;
  private int divisor;
  private boolean transmitInterrupt;
  private boolean idleInterrupt;

  /** The FIFO was emptied while nobody waited for data. */
  private boolean awaitingReader;

  private int polls;

  /** The guest has raised RTS since the reset, so that lowering it means something. */
  private boolean requestsToSend;

  /** Bytes in the FIFO that the guest has sent to itself. */
  private boolean looped;

  /** Bytes posted and not in the FIFO yet; a replay, to which nothing is posted, goes below 0. */
  private final AtomicInteger outstanding = new AtomicInteger();

  private long bytesSent;
  private long bytesReceived;
  private long bytesLost;

  /** Bytes sent and received by the guest, and those that came faster than it read. */
  public record Metrics(long bytesSent, long bytesReceived, long bytesLost) {}

  public Uart16550(
      Board board, String name, int base, InterruptLine interrupt, CharBackend backend) {
    this.name = name;
    this.base = base;
    this.board = board;
    this.interrupt = interrupt;
    this.backend = backend;
    this.channel = board.channel(name, this::arrive);
    this.flushTimer = board.timer(name + "-flush", this::flush);
    this.idleTimer = board.timer(name + "-idle", this::idle);
    board.bus().mapPorts(base, 8, this);
  }

  public Metrics metrics() {
    return new Metrics(bytesSent, bytesReceived, bytesLost);
  }

  // ---- receiving
  // ----------------------------------------------------------------------------------------------------

  private void arrive(byte[] bytes) {
    int lost = backlog.add(bytes);
    bytesLost += lost;
    outstanding.addAndGet(-lost);
    refill();
    update();
  }

  /** Whether the peer may send. */
  private boolean ready() {
    boolean stopped = requestsToSend && (modemControl & MCR_RTS) == 0;
    boolean unread = awaitingReader && (interruptEnable & IER_DATA) == 0;
    return (modemControl & MCR_LOOP) == 0 && !stopped && !unread;
  }

  /** A reading of the line status; of several in a row, the last one opens the line. */
  private void polled() {
    if (awaitingReader && ++polls >= POLLS) {
      awaitingReader = false;
      refill();
    }
  }

  private int capacity() {
    return (fifoControl & 1) != 0 ? FIFO_BYTES : 1;
  }

  private void refill() {
    boolean any = false;
    while (received.size() < capacity() && backlog.size() > 0 && ready()) {
      received.add((byte) backlog.remove());
      outstanding.decrementAndGet();
      any = true;
    }
    if (any) {
      lineStatus |= LSR_DATA;
      armIdle();
    }
  }

  private int trigger() {
    if ((fifoControl & 1) == 0) {
      return 1;
    }
    return switch (fifoControl >> 6) {
      case 0 -> 1;
      case 1 -> 4;
      case 2 -> 8;
      default -> 14;
    };
  }

  /** The receiver reports fewer bytes than its trigger level after a silence of four characters. */
  private void armIdle() {
    if ((fifoControl & 1) != 0 && received.size() < trigger() && !idleInterrupt) {
      long bits = 10L * 4 * Math.max(1, divisor);
      idleTimer.arm(board.nowNanos() + bits * 1_000_000_000L / CLOCK);
    }
  }

  private void idle() {
    if (received.size() > 0) {
      idleInterrupt = true;
      update();
    }
  }

  private int readData() {
    if (received.size() == 0) {
      return 0;
    }
    int value = received.remove();
    bytesReceived++;
    idleInterrupt = false;
    refill();
    if (received.size() == 0) {
      lineStatus &= ~LSR_DATA;
      looped = false;
      idleTimer.cancel();
    } else {
      armIdle();
    }
    update();
    return value;
  }

  // ---- sending
  // ------------------------------------------------------------------------------------------------------

  private void writeData(int value) {
    transmitInterrupt = true;
    polls = 0;
    if ((modemControl & MCR_LOOP) != 0) {
      if (received.size() >= capacity()) {
        lineStatus |= LSR_OVERRUN;
      } else {
        received.add((byte) value);
        looped = true;
        lineStatus |= LSR_DATA;
        armIdle();
      }
    } else {
      bytesSent++;
      if (outputLength == 0) {
        flushTimer.arm(board.nowNanos() + OUTPUT_DELAY_NANOS);
      }
      output[outputLength++] = (byte) value;
      if (value == '\n' || outputLength == OUTPUT_BYTES) {
        flush();
      }
    }
    update();
  }

  private void flush() {
    flushTimer.cancel();
    int length = outputLength;
    outputLength = 0;
    if (length > 0) {
      backend.write(output, 0, length);
    }
  }

  // ---- interrupts
  // ---------------------------------------------------------------------------------------------------

  /** The identification of the most urgent interrupt, 1 when there is none. */
  private int identification() {
    if ((interruptEnable & IER_LINE) != 0 && (lineStatus & 0x1E) != 0) {
      return 6;
    }
    if ((interruptEnable & IER_DATA) != 0 && received.size() >= trigger()) {
      return 4;
    }
    if ((interruptEnable & IER_DATA) != 0 && idleInterrupt) {
      return 12;
    }
    if ((interruptEnable & IER_TRANSMIT) != 0 && transmitInterrupt) {
      return 2;
    }
    if ((interruptEnable & IER_MODEM) != 0 && (modemStatus & 15) != 0) {
      return 0;
    }
    return 1;
  }

  private void update() {
    // On a PC, OUT2 connects the interrupt; in loopback mode the pin is inactive.
    boolean connected = (modemControl & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
    interrupt.set(connected && identification() != 1);
  }

  private void updateModemStatus() {
    int lines;
    if ((modemControl & MCR_LOOP) != 0) {
      // DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
      lines =
          (modemControl & 1) << 5
              | (modemControl & 2) << 3
              | (modemControl & 4) << 4
              | (modemControl & 8) << 4;
    } else {
      lines = 0xB0; // the peer is there: DCD, DSR, CTS
    }
    int changed = (lines ^ modemStatus) & 0xF0;
    int ringEnded = modemStatus & ~lines & 0x40;
    int deltas = (changed & 0x30) >> 4 | (changed & 0x80) >> 4 | ringEnded >> 4;
    modemStatus = lines | modemStatus & 15 | deltas;
  }

  // ---- ports
  // --------------------------------------------------------------------------------------------------------

  private boolean divisorAccess() {
    return (lineControl & 0x80) != 0;
  }

  @Override
  public int readByte(int port) {
    switch (port - base) {
      case 0 -> {
        return divisorAccess() ? divisor & 0xFF : readData();
      }
      case 1 -> {
        return divisorAccess() ? divisor >> 8 : interruptEnable;
      }
      case 2 -> {
        int identification = identification();
        if (identification == 2) {
          transmitInterrupt = false;
          update();
        }
        return identification | ((fifoControl & 1) != 0 ? 0xC0 : 0);
      }
      case 3 -> {
        return lineControl;
      }
      case 4 -> {
        return modemControl;
      }
      case 5 -> {
        polled();
        int status = lineStatus | LSR_TRANSMIT_EMPTY;
        lineStatus &= ~0x1E;
        update();
        return status;
      }
      case 6 -> {
        int status = modemStatus;
        modemStatus &= 0xF0;
        update();
        return status;
      }
      case 7 -> {
        return scratch;
      }
      default -> {
        return 0xFF;
      }
    }
  }

  @Override
  public void writeByte(int port, int value) {
    switch (port - base) {
      case 0 -> {
        if (divisorAccess()) {
          divisor = divisor & 0xFF00 | value;
        } else {
          writeData(value);
        }
      }
      case 1 -> {
        if (divisorAccess()) {
          divisor = divisor & 0xFF | value << 8;
        } else {
          // Enabling the transmitter's interrupt raises it at once: the transmitter is always
          // empty.
          if ((value & IER_TRANSMIT & ~interruptEnable) != 0) {
            transmitInterrupt = true;
          }
          interruptEnable = value & 15;
          if ((value & IER_DATA) != 0) {
            awaitingReader = false;
            refill();
          }
          update();
        }
      }
      case 2 -> writeFifoControl(value);
      case 3 -> lineControl = value;
      case 4 -> {
        modemControl = value & 0x1F;
        requestsToSend |= (value & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
        updateModemStatus();
        refill();
        update();
      }
      case 7 -> scratch = value;
      default -> {
        // The status registers are read-only.
      }
    }
  }

  private void writeFifoControl(int value) {
    if (((value ^ fifoControl) & 1) != 0 || (value & 2) != 0) {
      takeBack();
      awaitingReader = (interruptEnable & IER_DATA) == 0;
      polls = 0;
      lineStatus &= ~LSR_DATA;
      idleInterrupt = false;
      idleTimer.cancel();
    }
    fifoControl = (value & 1) != 0 ? value & 0xC9 : 0;
    refill();
    update();
  }

  /** Empties the FIFO; what the peer had sent comes again when the guest is ready. */
  private void takeBack() {
    byte[] fifo = received.toByteArray();
    received.clear();
    for (int i = fifo.length - 1; i >= 0 && !looped; i--) {
      backlog.putBack(fifo[i]);
      outstanding.incrementAndGet();
    }
    looped = false;
  }

  // ---- life cycle
  // ---------------------------------------------------------------------------------------------------

  @Override
  public String name() {
    return name;
  }

  @Override
  public void reset() {
    flush();
    received.clear();
    awaitingReader = false;
    polls = 0;
    requestsToSend = false;
    looped = false;
    interruptEnable = 0;
    fifoControl = 0;
    lineControl = 0;
    modemControl = 0;
    lineStatus = 0;
    modemStatus = 0xB0;
    scratch = 0;
    divisor = 12;
    transmitInterrupt = false;
    idleInterrupt = false;
    idleTimer.cancel();
    interrupt.set(false);
  }

  @Override
  public void start() {
    backend.start(new Input());
  }

  /** Where the peer's bytes come in. */
  private final class Input implements CharBackend.Receiver {
    @Override
    public void receive(byte[] data, int offset, int length) {
      outstanding.addAndGet(length);
      channel.post(Arrays.copyOfRange(data, offset, offset + length));
    }

    @Override
    public int room() {
      return Math.clamp((long) BACKLOG_BYTES - outstanding.get(), 0, BACKLOG_BYTES);
    }
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
          "the backend of " + name + " cannot be closed: " + e.getMessage(), e);
    }
  }

  /**
   * What the guest sent and the backend has not got yet is handed over first: it is not part of the
   * state.
   */
  @Override
  public void save(StateWriter out) {
    flush();
    out.record(name, STATE_VERSION)
        .putBytes(received.toByteArray())
        .putBytes(backlog.toByteArray());
    out.putInts(
        new int[] {
          interruptEnable,
          fifoControl,
          lineControl,
          modemControl,
          lineStatus,
          modemStatus,
          scratch,
          divisor,
          polls
        });
    out.putBoolean(transmitInterrupt).putBoolean(idleInterrupt);
    out.putBoolean(awaitingReader).putBoolean(requestsToSend).putBoolean(looped);
    out.putBoolean(idleTimer.armed()).putLong(idleTimer.deadlineNanos());
  }

  @Override
  public void restore(StateReader in) {
    in.record(name, STATE_VERSION);
    byte[] fifo = in.getBytes();
    byte[] waiting = in.getBytes();
    if (fifo.length > FIFO_BYTES || waiting.length > BACKLOG_BYTES + FIFO_BYTES) {
      throw new StateException("the state of " + name + " holds more received bytes than fit");
    }
    received.clear();
    received.add(fifo);
    backlog.clear();
    for (int i = waiting.length - 1; i >= 0; i--) {
      backlog.putBack(waiting[i]);
    }
    outstanding.set(backlog.size());
    int[] values = new int[9];
    in.getInts(values);
    interruptEnable = values[0] & 15;
    fifoControl = values[1] & 0xC9;
    lineControl = values[2] & 0xFF;
    modemControl = values[3] & 0x1F;
    lineStatus = values[4] & 0xFF;
    modemStatus = values[5] & 0xFF;
    scratch = values[6] & 0xFF;
    divisor = values[7] & 0xFFFF;
    transmitInterrupt = in.getBoolean();
    idleInterrupt = in.getBoolean();
    polls = values[8];
    awaitingReader = in.getBoolean();
    requestsToSend = in.getBoolean();
    looped = in.getBoolean();
    boolean armed = in.getBoolean();
    long deadline = in.getLong();
    if (armed) {
      idleTimer.arm(deadline);
    } else {
      idleTimer.cancel();
    }
  }
}
