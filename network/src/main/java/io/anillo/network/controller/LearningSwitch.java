package io.anillo.network.controller;

import io.anillo.network.dataplane.FlowModification;
import io.anillo.network.flow.Action;
import io.anillo.network.flow.Instructions;
import io.anillo.network.flow.Match;
import io.anillo.network.flow.Ports;
import io.anillo.network.packet.MatchField;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Makes every switch a learning switch: the example of an application. */
public final class LearningSwitch implements ControllerApplication {
  private final Map<Long, Map<Long, Integer>> places = new ConcurrentHashMap<>();

  @Override
  public void switchUp(ConnectedSwitch device) {
    places.put(device.datapathId(), new ConcurrentHashMap<>());
    device.modify(
        FlowModification.add(
            0, 0, Match.ANY, Instructions.apply(new Action.Output(Ports.CONTROLLER))));
  }

  @Override
  public boolean packetIn(ConnectedSwitch device, ReceivedPacket packet) {
    Map<Long, Integer> known =
        places.computeIfAbsent(device.datapathId(), id -> new ConcurrentHashMap<>());
    known.put(packet.source(), packet.inPort());
    int port = known.getOrDefault(packet.destination(), Ports.FLOOD);
    if (port != Ports.FLOOD) {
      Match match =
          Match.builder()
              .set(MatchField.IN_PORT, packet.inPort())
              .set(MatchField.ETH_DST, packet.destination())
              .build();
      Instructions forward = Instructions.apply(new Action.Output(port));
      device.modify(FlowModification.add(0, 1, match, forward).withTimeouts(60, 0));
    }
    device.packetOut(packet.frame(), packet.inPort(), new Action.Output(port));
    return true;
  }
}
