package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.device.virtio.VirtQueue;
import io.anillo.vmm.memory.GuestMemory;
import java.util.ArrayDeque;

/**
 * One receive queue: packets that wait for buffers, and how they are spread over them (virtio 1.2
 * §5.1.6.4). Hot: a packet is copied once, from the backlog into the guest's buffers, and nothing
 * is allocated.
 */
final class ReceiveQueue {
  /** What became of a packet. */
  enum Outcome {
    DELIVERED,
    NO_BUFFER,
    TOO_LARGE,
    BROKEN
  }

  private final VirtQueue queue;
  private final GuestMemory memory;
  private final ArrayDeque<byte[]> backlog = new ArrayDeque<>();

  /** The buffers of the packet at hand; grown as needed up to the queue's size. */
  private DescriptorChain[] chains = {new DescriptorChain()};

  /** How many buffers there were when they did not suffice. */
  private int tooFew;

  ReceiveQueue(VirtQueue queue, GuestMemory memory) {
    this.queue = queue;
    this.memory = memory;
  }

  VirtQueue queue() {
    return queue;
  }

  ArrayDeque<byte[]> backlog() {
    return backlog;
  }

  /** After {@code NO_BUFFER}: asks to be told of more; false when more are there already. */
  boolean awaitBuffers() {
    return queue.requestNotificationsBeyond(tooFew);
  }

  /** Puts a packet into the guest's buffers; not yet published. */
  Outcome deliver(byte[] packet, boolean mergeable) {
    int count = 0;
    long room = 0;
    while (room < packet.length && (mergeable || count == 0)) {
      if (count == queue.size()) {
        giveBack(count);
        return Outcome.TOO_LARGE;
      }
      if (count == chains.length) {
        chains = java.util.Arrays.copyOf(chains, count * 2);
        for (int i = count; i < chains.length; i++) {
          chains[i] = new DescriptorChain();
        }
      }
      if (!queue.poll(chains[count])) {
        giveBack(count);
        tooFew = count;
        return Outcome.NO_BUFFER;
      }
      room += chains[count].writableBytes();
      count++;
    }
    if (chains[0].writableBytes() < NetworkHeader.BYTES) {
      return Outcome.BROKEN;
    }
    if (room < packet.length) {
      giveBack(count);
      return Outcome.TOO_LARGE;
    }
    NetworkHeader.setBuffers(packet, count);
    int at = 0;
    for (int i = 0; i < count; i++) {
      int length = (int) Math.min(chains[i].writableBytes(), packet.length - at);
      int written = chains[i].write(memory, 0, packet, at, length);
      queue.put(chains[i].head(), written);
      at += length;
    }
    return Outcome.DELIVERED;
  }

  private void giveBack(int count) {
    for (int i = 0; i < count; i++) {
      queue.unpoll();
    }
  }
}
