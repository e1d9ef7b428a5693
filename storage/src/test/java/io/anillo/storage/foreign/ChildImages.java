package io.anillo.storage.foreign;

import io.anillo.storage.peer.Peer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * Images that build on others, which no peer makes: whole ones made by QEMU and changed as the
 * formats' specifications say. All make a child of {@code base.*} in a folder and return what it
 * has to read as.
 */
public final class ChildImages {
  private static final int SIZE = 12 << 20;
  private static final int SECTOR = 512;

  private ChildImages() {}

  private static byte[] contents(Path folder, Path image, String format) throws IOException {
    Path flat = folder.resolve("flat.raw");
    Peer.succeed("qemu-img", "convert", "-f", format, "-O", "raw", image, flat);
    return Files.readAllBytes(flat);
  }

  private static void write(Path image, String format) throws IOException {
    Peer.succeed(
        "qemu-io",
        "-f",
        format,
        "-c",
        "write -P 71 100k 300k",
        "-c",
        "write -P 72 5M 1M",
        "-c",
        "write -P 73 11M 700k",
        image);
  }

  private static void checksum(ByteBuffer bytes, int start, int length, int place) {
    bytes.putInt(start + place, 0);
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += bytes.get(start + i) & 0xff;
    }
    bytes.putInt(start + place, ~sum);
  }

  /** Makes {@code base.vhd} from a raw file, and the child. */
  public static byte[] vhd(Path folder, Path raw, Path child) throws IOException {
    Path base = folder.resolve("base.vhd");
    Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", raw, base);
    Peer.succeed("qemu-img", "create", "-f", "vpc", "-o", "force_size=on", child, SIZE);
    write(child, "vpc");
    byte[] expected = Files.readAllBytes(raw);
    byte[] own = contents(folder, child, "vpc");
    byte[] file = Files.readAllBytes(child);
    ByteBuffer bytes = ByteBuffer.wrap(file);
    ByteBuffer parent = ByteBuffer.wrap(Files.readAllBytes(base));
    for (int footer : new int[] {0, file.length - 512}) {
      bytes.putInt(footer + 60, 4);
      checksum(bytes, footer, 512, 64);
    }
    int header = (int) bytes.getLong(16);
    bytes.put(header + 40, parent.array(), 68, 16);
    byte[] name = "C:\\vm\\base.vhd".getBytes(StandardCharsets.UTF_16BE);
    bytes.put(header + 64, name);
    checksum(bytes, header, 1024, 36);
    int table = (int) bytes.getLong(header + 16);
    int block = bytes.getInt(header + 32);
    Random random = new Random(4);
    for (int i = 0; (long) i * block < SIZE; i++) {
      int at = bytes.getInt(table + 4 * i);
      if (at == -1) {
        continue;
      }
      byte[] bitmap = new byte[block / SECTOR / 8];
      random.nextBytes(bitmap);
      bytes.put(at * SECTOR, bitmap);
      for (int s = 0; s < block / SECTOR; s++) {
        int place = i * block + s * SECTOR;
        if ((bitmap[s / 8] >> (7 - s % 8) & 1) != 0 && place < SIZE) {
          System.arraycopy(own, place, expected, place, SECTOR);
        }
      }
    }
    Files.write(child, file);
    return expected;
  }

  /** Makes {@code base.vdi} from a raw file, and the child. */
  public static byte[] vdi(Path folder, Path raw, Path child) throws IOException {
    Path base = folder.resolve("base.vdi");
    Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", "vdi", raw, base);
    Peer.succeed("qemu-img", "create", "-f", "vdi", child, SIZE);
    write(child, "vdi");
    byte[] expected = Files.readAllBytes(raw);
    byte[] own = contents(folder, child, "vdi");
    byte[] file = Files.readAllBytes(child);
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putInt(76, 4);
    bytes.put(424, Files.readAllBytes(base), 392, 32);
    int block = bytes.getInt(376);
    for (int i = 0; i * block < SIZE; i++) {
      if (bytes.getInt(bytes.getInt(340) + 4 * i) != -1) {
        System.arraycopy(own, i * block, expected, i * block, block);
      }
    }
    Files.write(child, file);
    return expected;
  }

  private static int region(ByteBuffer bytes, int guidStart) {
    for (int at = (192 << 10) + 16; ; at += 32) {
      if (bytes.getInt(at) == guidStart) {
        return (int) bytes.getLong(at + 16);
      }
    }
  }

  private static byte[] dataGuid(ByteBuffer bytes) {
    int header = bytes.getLong((64 << 10) + 8) > bytes.getLong((128 << 10) + 8) ? 64 : 128;
    byte[] guid = new byte[16];
    bytes.get((header << 10) + 32, guid);
    return guid;
  }

  private static String text(byte[] guid) {
    ByteBuffer bytes = ByteBuffer.wrap(guid).order(ByteOrder.LITTLE_ENDIAN);
    StringBuilder text = new StringBuilder();
    text.append(
        "{%08x-%04x-%04x-"
            .formatted(bytes.getInt(0), bytes.getShort(4) & 0xffff, bytes.getShort(6) & 0xffff));
    for (int i = 8; i < 16; i++) {
      text.append(i == 10 ? "-" : "").append("%02x".formatted(guid[i] & 0xff));
    }
    return text.append('}').toString();
  }

  private static byte[] locator(byte[] parentGuid) {
    String[] values = {
      "parent_linkage", text(parentGuid), "relative_path", "..\\disks\\base.vhdx",
    };
    ByteBuffer item = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
    item.putInt(0xb04aefb7).putShort((short) 0xd19e).putShort((short) 0x4a81);
    item.order(ByteOrder.BIG_ENDIAN).putLong(0xb78925b8e9445913L).order(ByteOrder.LITTLE_ENDIAN);
    item.putShort(18, (short) 2);
    int end = 100;
    for (int i = 0; i < values.length; i++) {
      byte[] encoded = values[i].getBytes(StandardCharsets.UTF_16LE);
      int entry = 20 + 12 * (i / 2);
      item.putInt(entry + 4 * (i % 2), end);
      item.putShort(entry + 8 + 2 * (i % 2), (short) encoded.length);
      item.put(end, encoded);
      end += encoded.length;
    }
    return item.array();
  }

  /** Makes {@code base.vhdx} from a raw file, and the child. */
  public static byte[] vhdx(Path folder, Path raw, Path child) throws IOException {
    Path base = folder.resolve("base.vhdx");
    Peer.succeed("qemu-img", "convert", "-f", "raw", "-O", "vhdx", raw, base);
    Peer.succeed("qemu-img", "create", "-f", "vhdx", "-o", "block_size=1M", child, SIZE);
    write(child, "vhdx");
    byte[] expected = Files.readAllBytes(raw);
    byte[] own = contents(folder, child, "vhdx");
    byte[] old = Files.readAllBytes(child);
    int bitmaps = (old.length + (1 << 20) - 1) >> 20 << 20;
    byte[] file = java.util.Arrays.copyOf(old, bitmaps + (1 << 20));
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int metadata = region(bytes, 0x8b7ca206);
    int count = bytes.getShort(metadata + 10);
    for (int i = 0; i < count; i++) {
      int at = metadata + 32 + 32 * i;
      if (bytes.getInt(at) == 0xcaa16737) {
        bytes.putInt(metadata + bytes.getInt(at + 16) + 4, 2);
      }
    }
    int entry = metadata + 32 + 32 * count;
    bytes.putShort(metadata + 10, (short) (count + 1));
    bytes.putInt(entry, 0xa8d35f2d).putShort(entry + 4, (short) 0xb30b);
    bytes.putShort(entry + 6, (short) 0x454d);
    bytes.putLong(entry + 8, Long.reverseBytes(0xabf7d3d84834ab0cL));
    byte[] locator =
        locator(dataGuid(ByteBuffer.wrap(Files.readAllBytes(base)).order(ByteOrder.LITTLE_ENDIAN)));
    bytes.putInt(entry + 16, 128 << 10).putInt(entry + 20, locator.length);
    bytes.put(metadata + (128 << 10), locator);
    int table = region(bytes, 0x2dc27766);
    bytes.putLong(table + 8 * 4096, bitmaps | 6L);
    Random random = new Random(8);
    for (int i = 0; i < SIZE >> 20; i++) {
      long place = bytes.getLong(table + 8 * i);
      if ((place & 7) != 6) {
        // what QEMU calls absent in a disk without parent
        bytes.putLong(table + 8 * i, i == 3 ? 2 : 0);
        if (i == 3) {
          java.util.Arrays.fill(expected, i << 20, i + 1 << 20, (byte) 0);
        }
      } else if (i == 5) {
        System.arraycopy(own, i << 20, expected, i << 20, 1 << 20);
      } else {
        bytes.putLong(table + 8 * i, place | 7);
        byte[] bitmap = new byte[2048 / 8];
        random.nextBytes(bitmap);
        bytes.put(bitmaps + i * bitmap.length, bitmap);
        for (int s = 0; s < 2048; s++) {
          int at = (i << 20) + s * SECTOR;
          if ((bitmap[s / 8] >> (s % 8) & 1) != 0) {
            System.arraycopy(own, at, expected, at, SECTOR);
          }
        }
      }
    }
    Files.write(child, file);
    return expected;
  }

  /**
   * Makes a VHDX that lost its power: what QEMU wrote to the log is there, what it then wrote to
   * the block table is not.
   */
  public static void crashedVhdx(Path folder, Path image) throws IOException {
    Peer.succeed("qemu-img", "create", "-f", "vhdx", "-o", "block_size=1M", image, SIZE);
    byte[] before = Files.readAllBytes(image);
    Peer.run(
        "qemu-io",
        "-f",
        "vhdx",
        "-c",
        "write -P 9 3M 2M",
        "-c",
        "write -P 8 7000k 100k",
        "-c",
        "flush",
        "-c",
        "abort",
        image);
    byte[] file = Files.readAllBytes(image);
    ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
    int table = region(bytes, 0x2dc27766);
    System.arraycopy(before, table, file, table, 4096);
    // QEMU clears the log's name in the header after every entry: put that of the last one back
    int log = (int) bytes.getLong((64 << 10) + 72);
    int entry = log;
    for (int at = log; at < log + (1 << 20); at += 4096) {
      if (bytes.getInt(at) == 0x65676f6c && bytes.getLong(at + 16) > bytes.getLong(entry + 16)) {
        entry = at;
      }
    }
    for (int header : new int[] {64 << 10, 128 << 10}) {
      bytes.put(header + 48, file, entry + 32, 16).putInt(header + 4, 0);
      CRC32C crc = new CRC32C();
      crc.update(file, header, 4096);
      bytes.putInt(header + 4, (int) crc.getValue());
    }
    Files.write(image, file);
  }
}
