package io.anillo.vmm.device.virtio.network;

import io.anillo.vmm.device.virtio.DescriptorChain;
import io.anillo.vmm.memory.GuestMemory;

/**
 * The commands of the control queue (virtio 1.2 §5.1.6.5): a class, a command, data, and a byte for
 * the answer.
 */
final class NetworkControl {
  private static final int CLASS_RECEIVE = 0;
  private static final int CLASS_MAC = 1;
  private static final int CLASS_QUEUES = 4;
  private static final int MAC_TABLES = 0;
  private static final int MAC_ADDRESS = 1;
  private static final int QUEUES_SET = 0;
  private static final byte OK = 0;
  private static final byte ERROR = 1;

  private final VirtioNetworkDevice device;
  private final ReceiveFilter filter;
  private final GuestMemory memory;
  private final byte[] command = new byte[4096];
  private final byte[] answer = new byte[1];

  NetworkControl(VirtioNetworkDevice device, ReceiveFilter filter, GuestMemory memory) {
    this.device = device;
    this.filter = filter;
    this.memory = memory;
  }

  /** Executes a command and writes its answer; returns the bytes written. */
  long execute(DescriptorChain chain) {
    int length = chain.read(memory, 0, command, 0, command.length);
    boolean whole = length == chain.readableBytes() && length >= 2;
    answer[0] = whole && execute(length) ? OK : ERROR;
    return chain.write(memory, 0, answer, 0, 1);
  }

  private boolean execute(int length) {
    int data = length - 2;
    return switch (command[0]) {
      case CLASS_RECEIVE -> data >= 1 && setMode(command[1], command[2] != 0);
      case CLASS_MAC -> setAddresses(data);
      case CLASS_QUEUES -> command[1] == QUEUES_SET && data >= 2 && setQueues();
      default -> false;
    };
  }

  private boolean setMode(int mode, boolean on) {
    boolean extra = mode > ReceiveFilter.ALL_MULTICAST;
    return device.negotiated(
            extra ? VirtioNetworkDevice.CONTROL_RECEIVE_EXTRA : VirtioNetworkDevice.CONTROL_RECEIVE)
        && filter.setMode(mode, on);
  }

  private boolean setAddresses(int dataBytes) {
    byte[] data = java.util.Arrays.copyOfRange(command, 2, 2 + dataBytes);
    if (command[1] == MAC_TABLES) {
      return device.negotiated(VirtioNetworkDevice.CONTROL_RECEIVE)
          && filter.setTables(data, dataBytes);
    }
    if (command[1] != MAC_ADDRESS
        || dataBytes < 6
        || !device.negotiated(VirtioNetworkDevice.CONTROL_MAC)) {
      return false;
    }
    filter.setAddress(ReceiveFilter.address(data, 0));
    device.putAddress();
    return true;
  }

  private boolean setQueues() {
    int pairs = command[2] & 0xFF | (command[3] & 0xFF) << 8;
    if (!device.negotiated(VirtioNetworkDevice.MULTIPLE_QUEUES)
        || pairs < 1
        || pairs > device.queuePairs()) {
      return false;
    }
    device.setActivePairs(pairs);
    return true;
  }
}
