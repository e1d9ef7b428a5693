package io.anillo.vmm.device;

/**
 * Where message-signalled interrupts go: a write of {@code data} to {@code address} (Intel SDM vol.
 * 3A §11.11).
 */
@FunctionalInterface
public interface MessageInterrupts {
  void signal(long address, int data);
}
