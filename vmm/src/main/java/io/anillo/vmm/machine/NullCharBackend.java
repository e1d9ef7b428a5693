package io.anillo.vmm.machine;

import io.anillo.vmm.port.CharBackend;

/** A line with nothing at its other end. */
public final class NullCharBackend implements CharBackend {
  @Override
  public void start(Receiver receiver) {}

  @Override
  public void write(byte[] data, int offset, int length) {}

  @Override
  public void close() {}
}
