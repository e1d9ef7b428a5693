package io.anillo.vmm.machine;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads a recording and feeds it back. Readings of the clock and of entropy are handed out in their
 * order; payloads and expiries wait for their instruction count.
 */
public final class EventReplayer implements AutoCloseable {
  private static final int MAXIMUM_BYTES = 1 << 26;

  /** The replayed machine went another way than the recorded one. */
  public static final class Divergence extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public Divergence(String message) {
      super("the replay diverges from its recording: " + message);
    }
  }

  /** Something applied at an instruction boundary. */
  sealed interface Event {
    record Payload(String channel, byte[] bytes) implements Event {}

    record Expiry(String timer) implements Event {}

    record End() implements Event {}
  }

  private final InputStream in;
  private final long wallOriginNanos;
  private final List<String> names = new ArrayList<>();
  private final ArrayDeque<byte[]> entropy = new ArrayDeque<>();

  // Clock readings that lie before the next event: a ring.
  private long[] clocks = new long[1024];
  private int clockHead;
  private int clockCount;

  private long readInstructions;
  private long readClock;
  private @Nullable Event next;
  private long nextInstruction;

  /** Opens a recording; damaged or foreign files are an IOException with a sentence. */
  public EventReplayer(InputStream in) throws IOException {
    this.in = new BufferedInputStream(in, 1 << 16);
    if (EventLog.readUnsigned(this.in) != EventLog.MAGIC) {
      throw new IOException("this is not a recording of a machine");
    }
    long version = EventLog.readUnsigned(this.in);
    if (version != EventLog.VERSION) {
      throw new IOException(
          "the recording has version " + version + "; this program reads " + EventLog.VERSION);
    }
    wallOriginNanos = EventLog.readSigned(this.in);
  }

  long wallOriginNanos() {
    return wallOriginNanos;
  }

  /** The next event, without taking it. */
  Event peek() {
    Event event = next;
    while (event == null) {
      event = readEntry();
    }
    next = event;
    return event;
  }

  /** The instruction count at which {@link #peek} is to be applied. */
  long nextInstruction() {
    peek();
    return nextInstruction;
  }

  void take() {
    if (!(next instanceof Event.End)) {
      next = null;
    }
  }

  /** Whether everything recorded has been applied. */
  boolean finished() {
    return peek() instanceof Event.End;
  }

  long nextClock() {
    while (clockCount == 0) {
      if (next != null) {
        throw new Divergence(
            "the clock is read once more than recorded before instruction " + nextInstruction);
      }
      next = readEntry();
    }
    long value = clocks[clockHead];
    clockHead = clockHead + 1 & clocks.length - 1;
    clockCount--;
    return value;
  }

  void fillEntropy(byte[] destination) {
    while (entropy.isEmpty()) {
      if (next != null) {
        throw new Divergence(
            "entropy is taken once more than recorded before instruction " + nextInstruction);
      }
      next = readEntry();
    }
    byte[] recorded = entropy.remove();
    if (recorded.length != destination.length) {
      throw new Divergence(
          destination.length + " bytes of entropy are taken where " + recorded.length + " were");
    }
    System.arraycopy(recorded, 0, destination, 0, recorded.length);
  }

  /** Reads one entry; an event is returned, anything else is put aside. */
  private @Nullable Event readEntry() {
    try {
      int kind = in.read();
      if (kind < 0) {
        throw new EOFException("the recording is truncated");
      }
      readInstructions += EventLog.readSigned(in);
      Event event =
          switch (kind) {
            case EventLog.DEFINE -> {
              names.add(new String(bytes(), StandardCharsets.UTF_8));
              yield null;
            }
            case EventLog.PAYLOAD -> new Event.Payload(name(), bytes());
            case EventLog.EXPIRY -> new Event.Expiry(name());
            case EventLog.CLOCK -> {
              readClock += EventLog.readSigned(in);
              addClock(readClock);
              yield null;
            }
            case EventLog.ENTROPY -> {
              entropy.add(bytes());
              yield null;
            }
            case EventLog.END -> new Event.End();
            default -> throw new IOException("the recording is damaged: entry of kind " + kind);
          };
      if (event != null) {
        nextInstruction = readInstructions;
      }
      return event;
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private void addClock(long value) {
    if (clockCount == clocks.length) {
      long[] larger = new long[clocks.length * 2];
      for (int i = 0; i < clockCount; i++) {
        larger[i] = clocks[clockHead + i & clocks.length - 1];
      }
      clocks = larger;
      clockHead = 0;
    }
    clocks[clockHead + clockCount & clocks.length - 1] = value;
    clockCount++;
  }

  private String name() throws IOException {
    long number = EventLog.readUnsigned(in);
    if (number < 0 || number >= names.size()) {
      throw new IOException("the recording is damaged: name " + number + " was not defined");
    }
    return names.get((int) number);
  }

  private byte[] bytes() throws IOException {
    long length = EventLog.readUnsigned(in);
    if (length < 0 || length > MAXIMUM_BYTES) {
      throw new IOException("the recording is damaged: " + length + " bytes announced");
    }
    byte[] value = in.readNBytes((int) length);
    if (value.length != length) {
      throw new EOFException("the recording is truncated");
    }
    return value;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
