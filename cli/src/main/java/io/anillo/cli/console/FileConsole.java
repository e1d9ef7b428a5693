package io.anillo.cli.console;

import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/** A serial line whose output goes to a file and which has no input. */
public final class FileConsole implements CharBackend {
  private final OutputStream out;
  private final ByteDrain drain;

  /** Creates the file, or empties it. */
  public FileConsole(Path file) throws IOException {
    this.out = Files.newOutputStream(file);
    this.drain = new ByteDrain("serial line to " + file.getFileName(), out);
  }

  @Override
  public void start(Receiver receiver) {}

  @Override
  public void write(byte[] data, int offset, int length) {
    drain.write(data, offset, length);
  }

  @Override
  public void close() throws IOException {
    drain.close();
    out.close();
  }
}
