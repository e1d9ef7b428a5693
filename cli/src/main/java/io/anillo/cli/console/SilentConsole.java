package io.anillo.cli.console;

import io.anillo.vmm.port.CharBackend;

/** A serial line with nobody at its other end. */
public final class SilentConsole implements CharBackend {
  @Override
  public void start(Receiver receiver) {}

  @Override
  public void write(byte[] data, int offset, int length) {}

  @Override
  public void close() {}
}
