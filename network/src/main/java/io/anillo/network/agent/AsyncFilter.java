package io.anillo.network.agent;

import io.anillo.network.flow.FlowError;
import io.anillo.network.openflow.WireReader;
import io.anillo.network.openflow.WireWriter;

/**
 * Which asynchronous messages a controller wants, as master or equal and as slave (OpenFlow 1.3.5
 * §7.3.10).
 */
final class AsyncFilter {
  private final int[] packetIn = {0x3, 0};
  private final int[] portStatus = {0x7, 0x7};
  private final int[] flowRemoved = {0xf, 0};

  synchronized boolean packetIn(Role role, int reason) {
    return (packetIn[index(role)] & 1 << reason) != 0;
  }

  synchronized boolean portStatus(Role role, int reason) {
    return (portStatus[index(role)] & 1 << reason) != 0;
  }

  synchronized boolean flowRemoved(Role role, int reason) {
    return (flowRemoved[index(role)] & 1 << reason) != 0;
  }

  private static int index(Role role) {
    return role == Role.SLAVE ? 1 : 0;
  }

  synchronized void read(WireReader reader) throws FlowError {
    int[] words = new int[6];
    for (int i = 0; i < 6; i++) {
      words[i] = reader.u32();
    }
    System.arraycopy(words, 0, packetIn, 0, 2);
    System.arraycopy(words, 2, portStatus, 0, 2);
    System.arraycopy(words, 4, flowRemoved, 0, 2);
  }

  synchronized WireWriter write() {
    WireWriter writer = new WireWriter();
    for (int[] pair : new int[][] {packetIn, portStatus, flowRemoved}) {
      writer.u32(pair[0]).u32(pair[1]);
    }
    return writer;
  }
}
