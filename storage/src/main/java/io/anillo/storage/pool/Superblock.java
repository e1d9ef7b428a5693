package io.anillo.storage.pool;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * The root of everything, in two slots of every disk that are written in turn: where the catalog
 * lies, and what is needed to read it.
 *
 * @param generation counts checkpoints; the highest valid one counts
 * @param era a random number that ties journal records to this checkpoint
 * @param nextSequence the first journal record's number
 * @param metadataGroups the groups that hold nodes and the catalog, serialized
 * @param catalog where the catalog lies: locations of runs of units
 */
record Superblock(
    UUID pool,
    String name,
    long generation,
    long era,
    long nextSequence,
    List<DiskEntry> disks,
    byte[] metadataGroups,
    int metadataGroupCount,
    List<Long> catalog,
    int catalogBytes,
    int catalogCrc) {
  private static final long MAGIC = 0x414e494c53555045L; // "ANILSUPE"

  /** A disk of the pool. */
  record DiskEntry(int id, UUID uuid, int slabs, PoolDisk.State state) {}

  ByteBuffer serialize() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeLong(pool.getMostSignificantBits());
    out.writeLong(pool.getLeastSignificantBits());
    out.writeUTF(name);
    out.writeLong(generation);
    out.writeLong(era);
    out.writeLong(nextSequence);
    out.writeInt(disks.size());
    for (DiskEntry disk : disks) {
      out.writeInt(disk.id);
      out.writeLong(disk.uuid.getMostSignificantBits());
      out.writeLong(disk.uuid.getLeastSignificantBits());
      out.writeInt(disk.slabs);
      out.writeByte(disk.state.ordinal());
    }
    out.writeInt(metadataGroupCount);
    out.writeInt(metadataGroups.length);
    out.write(metadataGroups);
    out.writeInt(catalog.size());
    for (long location : catalog) {
      out.writeLong(location);
    }
    out.writeInt(catalogBytes);
    out.writeInt(catalogCrc);
    byte[] body = bytes.toByteArray();
    if (body.length > DiskLabel.SUPERBLOCK_BYTES - 16) {
      throw new IOException("the pool has too many disks or metadata groups for its superblock");
    }
    ByteBuffer block = ByteBuffer.allocateDirect(DiskLabel.SUPERBLOCK_BYTES);
    block.putLong(MAGIC).putInt(body.length).putInt(0).put(body);
    block.putInt(12, DiskLabel.crc(block.duplicate().clear().position(16)));
    return block.clear();
  }

  static Optional<Superblock> parse(ByteBuffer block) throws IOException {
    int length = block.getInt(8);
    if (block.getLong(0) != MAGIC
        || length < 0
        || length > block.capacity() - 16
        || block.getInt(12) != DiskLabel.crc(block.duplicate().clear().position(16))) {
      return Optional.empty();
    }
    byte[] body = new byte[length];
    block.get(16, body);
    MetadataInput in = new MetadataInput("superblock", body);
    UUID pool = new UUID(in.readLong(), in.readLong());
    String name = in.readName();
    long generation = in.readLong();
    long era = in.readLong();
    long nextSequence = in.readLong();
    List<DiskEntry> disks = new ArrayList<>();
    for (int i = in.readCount(25); i > 0; i--) {
      int id = in.readInt("disk", 1, Integer.MAX_VALUE);
      if (disks.stream().anyMatch(other -> other.id == id)) {
        throw in.damaged("disk " + id + " is in it twice");
      }
      disks.add(
          new DiskEntry(
              id,
              new UUID(in.readLong(), in.readLong()),
              in.readInt("count of slabs", 1, DiskLabel.MAX_SLABS),
              in.readConstant(PoolDisk.State.values())));
    }
    int groupCount = in.readInt();
    byte[] groups = in.readBytes();
    List<Long> catalog = new ArrayList<>();
    for (int i = in.readCount(8); i > 0; i--) {
      catalog.add(in.readLong());
    }
    return Optional.of(
        new Superblock(
            pool,
            name,
            generation,
            era,
            nextSequence,
            disks,
            groups,
            groupCount,
            catalog,
            in.readInt("catalog of", 0, Integer.MAX_VALUE),
            in.readInt()));
  }
}
