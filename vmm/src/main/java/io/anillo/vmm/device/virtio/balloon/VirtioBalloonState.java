package io.anillo.vmm.device.virtio.balloon;

import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.Optional;

/**
 * What a balloon remembers beyond its queues.
 *
 * @param targetPages the size that the host asks for, in pages of 4 KiB
 * @param actualPages the size that the guest last said it has
 * @param poison the value that free pages of the guest hold
 * @param statistics values by tag; -1 where the guest has said none
 * @param heldBuffer the statistics buffer that waits to be returned
 */
record VirtioBalloonState(
    int targetPages,
    int actualPages,
    int poison,
    long[] statistics,
    Optional<DescriptorChain> heldBuffer) {

  void write(String name, StateWriter out) {
    out.record(name + "/balloon", 1);
    out.putInt(targetPages).putInt(actualPages).putInt(poison).putLongs(statistics);
    out.putBoolean(heldBuffer.isPresent());
    heldBuffer.ifPresent(chain -> chain.save(out));
  }

  static VirtioBalloonState read(String name, StateReader in) {
    in.record(name + "/balloon", 1);
    int target = in.getInt();
    int actual = in.getInt();
    int poison = in.getInt();
    long[] statistics = in.getLongs();
    if (statistics.length != BalloonStatistics.TAGS) {
      throw new StateException(
          "the state of '" + name + "' has " + statistics.length + " statistics");
    }
    Optional<DescriptorChain> held = Optional.empty();
    if (in.getBoolean()) {
      DescriptorChain chain = new DescriptorChain();
      chain.restore(in);
      held = Optional.of(chain);
    }
    return new VirtioBalloonState(target, actual, poison, statistics, held);
  }
}
