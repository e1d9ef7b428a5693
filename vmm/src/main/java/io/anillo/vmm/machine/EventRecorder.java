package io.anillo.vmm.machine;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/** Writes a recording, in the format of {@link EventLog}. All methods are called on the board. */
public final class EventRecorder implements AutoCloseable {
  private final OutputStream out;
  private LongSupplier instructions = () -> 0;
  private final Map<String, Integer> names = new HashMap<>();
  private long lastInstructions;
  private long lastClock;
  private boolean closed;

  /** Records into a stream, which is closed with the recording. */
  public EventRecorder(OutputStream out) {
    this.out = new BufferedOutputStream(out, 1 << 16);
  }

  private interface Action {
    void run() throws IOException;
  }

  private void write(Action action) {
    try {
      action.run();
    } catch (IOException e) {
      throw new UncheckedIOException("the recording cannot be written: " + e.getMessage(), e);
    }
  }

  /**
   * Begins the recording.
   *
   * @param counter instructions that processor 0 has retired, exact whenever something is applied
   */
  void begin(long wallOriginNanos, LongSupplier counter) {
    instructions = counter;
    write(() -> {
      EventLog.writeUnsigned(out, EventLog.MAGIC);
      EventLog.writeUnsigned(out, EventLog.VERSION);
      EventLog.writeSigned(out, wallOriginNanos);
    });
  }

  private void entry(int kind) throws IOException {
    long now = instructions.getAsLong();
    out.write(kind);
    EventLog.writeSigned(out, now - lastInstructions);
    lastInstructions = now;
  }

  private int number(String name) throws IOException {
    Integer known = names.get(name);
    if (known != null) {
      return known;
    }
    entry(EventLog.DEFINE);
    bytes(name.getBytes(StandardCharsets.UTF_8));
    names.put(name, names.size());
    return names.size() - 1;
  }

  private void bytes(byte[] value) throws IOException {
    EventLog.writeUnsigned(out, value.length);
    out.write(value);
  }

  void payload(String channel, byte[] payload) {
    write(() -> {
      int number = number(channel);
      entry(EventLog.PAYLOAD);
      EventLog.writeUnsigned(out, number);
      bytes(payload);
    });
  }

  void expiry(String timer) {
    write(() -> {
      int number = number(timer);
      entry(EventLog.EXPIRY);
      EventLog.writeUnsigned(out, number);
    });
  }

  /** The most frequent entry: no lambda, nothing allocated. */
  void clock(long nanos) {
    try {
      entry(EventLog.CLOCK);
      EventLog.writeSigned(out, nanos - lastClock);
    } catch (IOException e) {
      throw new UncheckedIOException("the recording cannot be written: " + e.getMessage(), e);
    }
    lastClock = nanos;
  }

  void entropy(byte[] bytes) {
    write(() -> {
      entry(EventLog.ENTROPY);
      bytes(bytes);
    });
  }

  /** Notes where the recording ends and closes it. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      write(() -> {
        entry(EventLog.END);
        out.close();
      });
    }
  }
}
