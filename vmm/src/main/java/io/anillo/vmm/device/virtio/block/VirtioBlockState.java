package io.anillo.vmm.device.virtio.block;

import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * What a block device remembers beyond its queues.
 *
 * @param writeback whether the driver has left the write cache on
 * @param capacitySectors the size the guest was told of
 * @param nextRequest number of the next request
 * @param pending requests taken from the queues and not completed; they are executed again after a
 *     restore
 */
record VirtioBlockState(
    boolean writeback, long capacitySectors, long nextRequest, List<Pending> pending) {

  /** A request that the device holds. */
  record Pending(int queue, DescriptorChain chain) {}

  void write(String name, StateWriter out) {
    out.record(name + "/block", 1);
    out.putBoolean(writeback).putLong(capacitySectors).putLong(nextRequest).putInt(pending.size());
    for (Pending request : pending) {
      out.putInt(request.queue());
      request.chain().save(out);
    }
  }

  static VirtioBlockState read(String name, int queues, int mostPending, StateReader in) {
    in.record(name + "/block", 1);
    boolean writeback = in.getBoolean();
    long capacitySectors = in.getLong();
    long nextRequest = in.getLong();
    int count = in.getInt();
    if (count < 0 || count > mostPending) {
      throw new StateException(
          "the state of '" + name + "' has " + count + " requests; at most " + mostPending);
    }
    List<Pending> pending = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      int queue = in.getInt();
      if (queue < 0 || queue >= queues) {
        throw new StateException(
            "the state of '" + name + "' has a request of queue " + queue + " of " + queues);
      }
      DescriptorChain chain = new DescriptorChain();
      chain.restore(in);
      pending.add(new Pending(queue, chain));
    }
    return new VirtioBlockState(writeback, capacitySectors, nextRequest, pending);
  }
}
