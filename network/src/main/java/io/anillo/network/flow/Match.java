package io.anillo.network.flow;

import io.anillo.network.packet.FlowKey;
import io.anillo.network.packet.MatchField;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The packets a flow applies to: a value and a mask over the words of {@link FlowKey}. Immutable.
 */
public final class Match {
  public static final Match ANY = new Match(new long[FlowKey.WORDS], new long[FlowKey.WORDS]);

  private final long[] value;
  private final long[] mask;

  private Match(long[] value, long[] mask) {
    this.value = value;
    this.mask = mask;
  }

  public static Builder builder() {
    return new Builder();
  }

  /** The value words; bits outside {@link #mask} are zero. Not to be changed. */
  public long[] value() {
    return value;
  }

  /** The mask words. Not to be changed. */
  public long[] mask() {
    return mask;
  }

  public boolean matches(long[] key) {
    for (int i = 0; i < value.length; i++) {
      if ((key[i] & mask[i]) != value[i]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether every packet of {@code other} is one of this match's, as a non-strict request needs.
   */
  public boolean covers(Match other) {
    for (int i = 0; i < value.length; i++) {
      if ((mask[i] & ~other.mask[i]) != 0 || (other.value[i] & mask[i]) != value[i]) {
        return false;
      }
    }
    return true;
  }

  /** Whether some packet matches both. */
  public boolean overlaps(Match other) {
    for (int i = 0; i < value.length; i++) {
      if (((value[i] ^ other.value[i]) & mask[i] & other.mask[i]) != 0) {
        return false;
      }
    }
    return true;
  }

  public boolean isAny() {
    return Arrays.stream(mask).allMatch(word -> word == 0);
  }

  /** The fields that this match names, in the order of {@link MatchField}, prerequisites first. */
  public List<MatchField> fields() {
    List<MatchField> fields = new ArrayList<>();
    for (MatchField field : MatchField.values()) {
      if ((field.low(mask) != 0 || field.high(mask) != 0) && field.allowedBy(value, mask)) {
        fields.add(field);
      }
    }
    return fields;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Match match
        && Arrays.equals(value, match.value)
        && Arrays.equals(mask, match.mask);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(value) * 31 + Arrays.hashCode(mask);
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    for (MatchField field : fields()) {
      if (!text.isEmpty()) {
        text.append(',');
      }
      text.append(field.label()).append('=').append(FieldText.format(field, value, mask));
    }
    return text.isEmpty() ? "any" : text.toString();
  }

  /** Collects fields; each may be given once. */
  public static final class Builder {
    private final long[] value = new long[FlowKey.WORDS];
    private final long[] mask = new long[FlowKey.WORDS];

    private Builder() {}

    public Builder set(MatchField field, long low) {
      return set(field, 0, low, -1, field.ones());
    }

    public Builder masked(MatchField field, long low, long maskLow) {
      return set(field, 0, low, 0, maskLow);
    }

    public Builder wide(MatchField field, long high, long low) {
      return set(field, high, low, -1, -1);
    }

    public Builder set(MatchField field, long high, long low, long maskHigh, long maskLow) {
      field.set(value, high & maskHigh, low & maskLow);
      field.set(mask, maskHigh, maskLow);
      return this;
    }

    public boolean has(MatchField field) {
      return field.low(mask) != 0 || field.high(mask) != 0;
    }

    /** Whether the fields given so far satisfy {@code field}'s prerequisite. */
    public boolean allows(MatchField field) {
      return field.allowedBy(value, mask);
    }

    public Match build() {
      return new Match(value.clone(), mask.clone());
    }
  }
}
