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

  /**
   * Opens an image for reading.
   *
   * @param path where it lies; parts of it are looked for beside it
   * @param disk the file, closed with the image
   */
  public static BlockDevice open(ImageFormat format, Path path, Disk disk, ParentOpener parents)
      throws IOException {
    return switch (format) {
      case VDI -> VdiImage.open(path, disk, parents);
      case VHD -> VhdImage.open(disk, parents);
      case VHDX -> VhdxImage.open(disk, parents);
      case VMDK -> VmdkImage.open(path, disk, parents);
      case RAW, QCOW2, OVA ->
          throw new IllegalArgumentException(format.label() + " is no format of a single disk");
    };
  }
}
