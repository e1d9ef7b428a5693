package io.anillo.storage.pool;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/**
 * Changes the metadata on a pool's disks and makes all checksums right again, as somebody would who
 * wants to hand us a pool that we trust.
 */
final class PoolSurgery {
  private final List<byte[]> disks;
  private final Random random;
  private final Superblock superblock;
  private final Map<Integer, Group> groups = new HashMap<>();
  private final byte[] catalog;

  PoolSurgery(List<byte[]> disks, Random random) throws IOException {
    this.disks = disks;
    this.random = random;
    Superblock newest = null;
    for (int slot = 0; slot < 2; slot++) {
      int at = (int) DiskLabel.superblockOffset(slot);
      ByteBuffer block = ByteBuffer.allocate(DiskLabel.SUPERBLOCK_BYTES);
      block.put(disks.getFirst(), at, DiskLabel.SUPERBLOCK_BYTES).clear();
      Superblock found = Superblock.parse(block).orElse(null);
      if (found != null && (newest == null || found.generation() > newest.generation())) {
        newest = found;
      }
    }
    if (newest == null) {
      throw new IOException("no superblock");
    }
    superblock = newest;
    Map<Integer, PoolDisk> members = new HashMap<>();
    long slabBytes = ByteBuffer.wrap(disks.getFirst()).getLong(48);
    for (Superblock.DiskEntry entry : superblock.disks()) {
      members.put(
          entry.id(),
          new PoolDisk(entry.id(), entry.uuid(), entry.slabs(), slabBytes, entry.state(), null));
    }
    MetadataInput in = new MetadataInput("superblock", superblock.metadataGroups());
    for (int i = 0; i < superblock.metadataGroupCount(); i++) {
      Group group = Group.read(in, members::get, (int) (slabBytes / BlockPointer.UNIT_BYTES));
      groups.put(group.id, group);
    }
    ByteBuffer whole = ByteBuffer.allocate(superblock.catalogBytes() + (1 << 20));
    for (long location : superblock.catalog()) {
      whole.put(read(location));
    }
    catalog = new byte[superblock.catalogBytes()];
    whole.get(0, catalog);
  }

  private List<int[]> places(long location) {
    Group group = groups.get(BlockPointer.group(location));
    List<int[]> places = new ArrayList<>();
    for (int column = 0; column < group.width(); column++) {
      long at = group.disks[column].slabOffset(group.slabs[column]);
      places.add(
          new int[] {
            group.disks[column].id - 1,
            (int) at + BlockPointer.unit(location) * BlockPointer.UNIT_BYTES
          });
    }
    return places;
  }

  private byte[] read(long location) {
    int[] place = places(location).getFirst();
    byte[] bytes = new byte[BlockPointer.units(location) * BlockPointer.UNIT_BYTES];
    System.arraycopy(disks.get(place[0]), place[1], bytes, 0, bytes.length);
    return bytes;
  }

  private void write(long location, byte[] bytes, int from, int length) {
    for (int[] place : places(location)) {
      System.arraycopy(bytes, from, disks.get(place[0]), place[1], length);
    }
  }

  /** A few bytes of a range become others. */
  static void scramble(byte[] bytes, int from, int to, Random random) {
    for (int i = 1 + random.nextInt(3); i > 0; i--) {
      int at = from + random.nextInt(to - from);
      switch (random.nextInt(4)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) 0xff;
        case 2 -> bytes[at] = (byte) random.nextInt(256);
        default -> {
          int length = Math.min(8, to - at);
          System.arraycopy(bytes, from + random.nextInt(to - from - length + 1), bytes, at, length);
        }
      }
    }
  }

  void label() {
    for (byte[] disk : disks) {
      if (random.nextBoolean()) {
        continue;
      }
      scramble(disk, 8, 60, random);
      ByteBuffer label = ByteBuffer.wrap(disk);
      int crc = DiskLabel.crc(label.duplicate().limit(DiskLabel.LABEL_BYTES - 4));
      label.putInt(DiskLabel.LABEL_BYTES - 4, crc);
      System.arraycopy(disk, 0, disk, (int) DiskLabel.SUPERBLOCK_OFFSET / 2, DiskLabel.LABEL_BYTES);
    }
  }

  void superblock() throws IOException {
    ByteBuffer block = superblock.serialize();
    byte[] bytes = new byte[block.remaining()];
    block.get(bytes);
    scramble(bytes, 16, 16 + ByteBuffer.wrap(bytes).getInt(8), random);
    seal(bytes);
  }

  private void seal(byte[] block) {
    ByteBuffer bytes = ByteBuffer.wrap(block);
    bytes.putInt(12, DiskLabel.crc(bytes.duplicate().position(16)));
    for (byte[] disk : disks) {
      for (int slot = 0; slot < 2; slot++) {
        System.arraycopy(block, 0, disk, (int) DiskLabel.superblockOffset(slot), block.length);
      }
    }
  }

  void catalog() throws IOException {
    scramble(catalog, 0, catalog.length, random);
    sealCatalog();
  }

  private void sealCatalog() throws IOException {
    int done = 0;
    for (long location : superblock.catalog()) {
      int length =
          Math.min(BlockPointer.units(location) * BlockPointer.UNIT_BYTES, catalog.length - done);
      write(location, catalog, done, length);
      done += length;
    }
    Superblock sealed =
        new Superblock(
            superblock.pool(),
            superblock.name(),
            superblock.generation(),
            superblock.era(),
            superblock.nextSequence(),
            superblock.disks(),
            superblock.metadataGroups(),
            superblock.metadataGroupCount(),
            superblock.catalog(),
            catalog.length,
            DiskLabel.crc(ByteBuffer.wrap(catalog)));
    byte[] block = new byte[DiskLabel.SUPERBLOCK_BYTES];
    sealed.serialize().get(block);
    seal(block);
  }

  /** Changes the root of a map, or a node below it. */
  void node() throws IOException {
    List<Integer> roots = new ArrayList<>();
    ByteBuffer words = ByteBuffer.wrap(catalog);
    for (int at = 0; at + 16 <= catalog.length; at++) {
      long location = words.getLong(at);
      Group group = groups.get(BlockPointer.group(location));
      if (location >>> 62 == 1
          && BlockPointer.units(location) == 1
          && group != null
          && BlockPointer.unit(location) < group.units()
          && crc(read(location)) == BlockPointer.crc(words.getLong(at + 8))) {
        roots.add(at);
      }
    }
    int at = roots.get(random.nextInt(roots.size()));
    long location = words.getLong(at);
    byte[] root = read(location);
    long check = words.getLong(at + 8);
    ByteBuffer pointers = ByteBuffer.wrap(root);
    long child = pointers.getLong(0);
    boolean inner = groups.containsKey(BlockPointer.group(child)) && BlockPointer.units(child) == 1;
    if (inner && random.nextBoolean()) {
      byte[] leaf = read(child);
      scramble(leaf, 0, leaf.length, random);
      write(child, leaf, 0, leaf.length);
      pointers.putLong(8, withCrc(pointers.getLong(8), crc(leaf)));
    } else {
      scramble(root, 0, random.nextBoolean() ? 64 : root.length, random);
    }
    write(location, root, 0, root.length);
    words.putLong(at + 8, withCrc(check, crc(root)));
    sealCatalog();
  }

  private static int crc(byte[] bytes) {
    return DiskLabel.crc(ByteBuffer.wrap(bytes));
  }

  private static long withCrc(long check, int crc) {
    return BlockPointer.check(crc, BlockPointer.birth(check));
  }

  /** Changes the first journal record. */
  void journal() throws IOException {
    byte[] first = disks.getFirst();
    int at = (int) DiskLabel.JOURNAL_OFFSET;
    int length = ByteBuffer.wrap(first).getInt(at + 4);
    int padded = (32 + length + 4095) & -4096;
    byte[] record = new byte[padded];
    System.arraycopy(first, at, record, 0, padded);
    scramble(record, 32, 32 + length, random);
    ByteBuffer bytes = ByteBuffer.wrap(record);
    bytes.putInt(24, 0);
    bytes.putInt(24, DiskLabel.crc(bytes.duplicate()));
    for (byte[] disk : disks) {
      System.arraycopy(record, 0, disk, at, padded);
    }
  }
}
