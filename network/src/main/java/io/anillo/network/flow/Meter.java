package io.anillo.network.flow;

import java.util.List;

/**
 * A rate meter: token buckets, one per band (OpenFlow 1.3.5 §5.7). Guarded by the switch's lock.
 */
public final class Meter {
  public static final int KILOBITS = 1;
  public static final int PACKETS = 2;
  public static final int BURST = 4;
  public static final int STATISTICS = 8;

  /**
   * What happens above a rate: the packet is dropped, or its drop precedence raised by {@code
   * precedence}.
   */
  public record Band(boolean drop, long rate, long burst, int precedence) {}

  /** What a packet's passage says. */
  public enum Verdict {
    PASS,
    DROP,
    REMARK
  }

  private final int id;
  private final int flags;
  private final List<Band> bands;
  private final double[] tokens;
  private final long[] bandPackets;
  private final long[] bandBytes;
  private final long createdNanos;
  private long refilledNanos;
  private long packets;
  private long bytes;
  private int precedence;

  public Meter(int id, int flags, List<Band> bands, long nowNanos) {
    this.id = id;
    this.flags = flags;
    this.bands = List.copyOf(bands);
    this.tokens = new double[bands.size()];
    this.bandPackets = new long[bands.size()];
    this.bandBytes = new long[bands.size()];
    this.createdNanos = nowNanos;
    this.refilledNanos = nowNanos;
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = capacity(bands.get(i));
    }
  }

  /** Tokens are bits or packets; without a burst size a band holds one second's worth. */
  private double capacity(Band band) {
    boolean burst = (flags & BURST) != 0 && band.burst() > 0;
    double amount = burst ? band.burst() : band.rate();
    return (flags & PACKETS) != 0 ? amount : amount * 1000;
  }

  /**
   * Takes one packet into account; the band with the highest rate that is exceeded decides
   * (§5.7.1).
   */
  public Verdict pass(long size, long nowNanos) {
    packets++;
    bytes += size;
    double seconds = Math.max(0, (nowNanos - refilledNanos) / 1e9);
    refilledNanos = nowNanos;
    boolean perPacket = (flags & PACKETS) != 0;
    double cost = perPacket ? 1 : size * 8;
    int exceeded = -1;
    for (int i = 0; i < tokens.length; i++) {
      Band band = bands.get(i);
      double rate = perPacket ? band.rate() : band.rate() * 1000.0;
      tokens[i] = Math.min(capacity(band), tokens[i] + rate * seconds);
      if (tokens[i] >= cost) {
        tokens[i] -= cost;
      } else if (exceeded < 0 || band.rate() > bands.get(exceeded).rate()) {
        exceeded = i;
      }
    }
    if (exceeded < 0) {
      return Verdict.PASS;
    }
    bandPackets[exceeded]++;
    bandBytes[exceeded] += size;
    Band band = bands.get(exceeded);
    precedence = band.precedence();
    return band.drop() ? Verdict.DROP : Verdict.REMARK;
  }

  /** By how much the last {@link Verdict#REMARK} raises the drop precedence. */
  public int precedence() {
    return precedence;
  }

  /** Whether packets may leave with another drop precedence than they came with. */
  public boolean remarks() {
    return bands.stream().anyMatch(band -> !band.drop());
  }

  public int id() {
    return id;
  }

  public int flags() {
    return flags;
  }

  public List<Band> bands() {
    return bands;
  }

  public long packets() {
    return packets;
  }

  public long bytes() {
    return bytes;
  }

  public long bandPackets(int band) {
    return bandPackets[band];
  }

  public long bandBytes(int band) {
    return bandBytes[band];
  }

  public long createdNanos() {
    return createdNanos;
  }
}
