package io.anillo.storage.foreign;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.image.ImageFormat;
import java.io.IOException;
import java.nio.file.Path;

/** Opens the formats of other platforms. */
public final class ForeignImages {
  private ForeignImages() {}

  /** Opens the image that another one builds on, by the name it gives. */
  @FunctionalInterface
  public interface ParentOpener {
    BlockDevice open(String name) throws IOException;
  }

  public static BlockDevice open(ImageFormat format, Path path, Disk disk, ParentOpener parents)
      throws IOException {
    throw new IOException(path + ": the format " + format.label() + " is not readable yet");
  }
}
