package io.anillo.vmm.device.virtio;

/** How a virtio device makes itself heard: what PCI, or a test, does for it. */
interface VirtioTransport {

  /** Tells the driver that requests of the queue have been used. */
  void interruptQueue(VirtQueue queue);

  /** Tells the driver that the configuration, or the device's status, has changed. */
  void interruptConfiguration();

  /** Whether the device may reach guest memory now. */
  boolean memoryAllowed();

  /** A transport that is heard by nobody. */
  VirtioTransport SILENT =
      new VirtioTransport() {
        @Override
        public void interruptQueue(VirtQueue queue) {}

        @Override
        public void interruptConfiguration() {}

        @Override
        public boolean memoryAllowed() {
          return false;
        }
      };
}
