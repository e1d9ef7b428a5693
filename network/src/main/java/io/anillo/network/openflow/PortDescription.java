package io.anillo.network.openflow;

import io.anillo.network.flow.FlowError;

/** A port as OpenFlow 1.3.5 §7.2.1 describes it. */
public record PortDescription(
    int number, long address, String name, int configuration, int state, int currentSpeedKilobits) {
  public static final int LINK_DOWN = 1;
  public static final int LIVE = 4;

  /** 10 Gb/s full duplex, copper. */
  private static final int FEATURES = 1 << 6 | 1 << 11;

  public static PortDescription read(WireReader reader) throws FlowError {
    int number = reader.u32();
    reader.skip(4);
    long address = reader.unsigned(6);
    reader.skip(2);
    String name = reader.text(16);
    int configuration = reader.u32();
    int state = reader.u32();
    reader.skip(16);
    int speed = reader.u32();
    reader.skip(4);
    return new PortDescription(number, address, name, configuration, state, speed);
  }

  public void write(WireWriter writer) {
    writer
        .u32(number)
        .zero(4)
        .unsigned(address, 6)
        .zero(2)
        .text(name, 16)
        .u32(configuration)
        .u32(state);
    writer.u32(FEATURES).u32(0).u32(0).u32(0).u32(currentSpeedKilobits).u32(0);
  }
}
