package io.anillo.storage.image;

import io.anillo.storage.disk.Disk;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** The formats that can be opened. All but the first two are for reading only. */
public enum ImageFormat {
  RAW,
  QCOW2,
  VDI,
  VHD,
  VHDX,
  VMDK,
  /** An appliance: an archive with disks of the formats above. */
  OVA;

  public String label() {
    return this == VHD ? "vpc" : name().toLowerCase(Locale.ROOT);
  }

  /**
   * The format of a name, such as {@code qcow2}.
   *
   * @throws IOException when there is none of that name
   */
  public static ImageFormat of(String name) throws IOException {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "raw", "host_device" -> RAW;
      case "qcow2" -> QCOW2;
      case "vdi" -> VDI;
      case "vhd", "vpc" -> VHD;
      case "vhdx" -> VHDX;
      case "vmdk" -> VMDK;
      case "ova" -> OVA;
      default ->
          throw new IOException(
              "\""
                  + name
                  + "\" is no disk format; known are raw, qcow2, vdi, vhd, vhdx, vmdk, ova");
    };
  }

  /** The name of the first file of an archive, which in an appliance is its description. */
  private static String nameOf(String tarHeader) {
    int end = tarHeader.indexOf('\0');
    return tarHeader.substring(0, Math.min(100, Math.max(0, end)));
  }

  /** Recognises a format by its signature; what has none is raw. */
  public static ImageFormat probe(Disk disk) throws IOException {
    long size = disk.sizeBytes();
    ByteBuffer head = ByteBuffer.allocate((int) Math.min(size, 512));
    disk.read(0, head);
    head.flip();
    if (head.limit() >= 72) {
      if (head.getInt(0) == 0x514649fb) {
        return QCOW2;
      }
      if (head.getInt(64) == 0x7f10dabe) {
        return VDI;
      }
      String text = new String(head.array(), 0, head.limit(), StandardCharsets.ISO_8859_1);
      if (text.startsWith("vhdxfile")) {
        return VHDX;
      }
      if (text.startsWith("KDMV") || text.startsWith("# Disk DescriptorFile")) {
        return VMDK;
      }
      if (text.startsWith("conectix")) {
        return VHD;
      }
      if (text.startsWith("ustar", 257) && nameOf(text).endsWith(".ovf")) {
        return OVA;
      }
    }
    if (size >= 512) {
      ByteBuffer tail = ByteBuffer.allocate(8);
      disk.read(size - 512, tail);
      if (new String(tail.array(), StandardCharsets.ISO_8859_1).equals("conectix")) {
        return VHD;
      }
    }
    return RAW;
  }
}
