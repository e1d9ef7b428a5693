package io.anillo.network.flow;

import java.util.List;

/**
 * What happens to a packet that matched, in the order that OpenFlow 1.3.5 §5.9 fixes.
 *
 * @param meter the meter to pass first, 0 for none
 * @param apply actions done at once
 * @param clear whether the action set is emptied
 * @param write actions merged into the action set
 * @param metadata the masked bits of {@code metadata} to store
 * @param gotoTable the next table, -1 when the pipeline ends here
 */
public record Instructions(
    int meter,
    List<Action> apply,
    boolean clear,
    List<Action> write,
    long metadata,
    long metadataMask,
    int gotoTable) {

  public static final Instructions DROP =
      new Instructions(0, List.of(), false, List.of(), 0, 0, -1);

  public static Instructions apply(Action... actions) {
    return new Instructions(0, List.of(actions), false, List.of(), 0, 0, -1);
  }

  public static Instructions write(Action... actions) {
    return new Instructions(0, List.of(), false, List.of(actions), 0, 0, -1);
  }

  public Instructions withGoto(int table) {
    return new Instructions(meter, apply, clear, write, metadata, metadataMask, table);
  }

  public Instructions withMeter(int id) {
    return new Instructions(id, apply, clear, write, metadata, metadataMask, gotoTable);
  }

  public Instructions withMetadata(long value, long mask) {
    return new Instructions(meter, apply, clear, write, value, mask, gotoTable);
  }
}
