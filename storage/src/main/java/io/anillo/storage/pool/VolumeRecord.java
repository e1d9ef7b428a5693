package io.anillo.storage.pool;

import java.io.DataOutputStream;
import java.io.IOException;

/**
 * What the pool knows of a volume.
 *
 * @param familyId volumes with the same number share blocks
 * @param headId the version that is its present
 * @param blockUnits size of a block in units of 4 KiB
 * @param key the wrapped key, empty without encryption
 */
record VolumeRecord(
    int id,
    int familyId,
    int headId,
    String name,
    Redundancy redundancy,
    int blockUnits,
    boolean compressed,
    byte[] key,
    VolumeLimits limits,
    boolean failWhenFull) {

  int blockBytes() {
    return blockUnits * BlockPointer.UNIT_BYTES;
  }

  VolumeRecord withHead(int head) {
    return new VolumeRecord(
        id, familyId, head, name, redundancy, blockUnits, compressed, key, limits, failWhenFull);
  }

  VolumeRecord withLimits(VolumeLimits newLimits) {
    return new VolumeRecord(
        id,
        familyId,
        headId,
        name,
        redundancy,
        blockUnits,
        compressed,
        key,
        newLimits,
        failWhenFull);
  }

  void write(DataOutputStream out) throws IOException {
    out.writeInt(id);
    out.writeInt(familyId);
    out.writeInt(headId);
    out.writeUTF(name);
    out.writeByte(redundancy.kind().ordinal());
    out.writeByte(redundancy.data());
    out.writeByte(redundancy.extra());
    out.writeInt(blockUnits);
    out.writeBoolean(compressed);
    out.writeInt(key.length);
    out.write(key);
    out.writeLong(limits.operationsPerSecond());
    out.writeLong(limits.bytesPerSecond());
    out.writeBoolean(failWhenFull);
  }

  static VolumeRecord read(MetadataInput in) throws IOException {
    int id = in.readInt("volume", 1, Integer.MAX_VALUE - 1);
    int family = in.readInt("family", 1, Integer.MAX_VALUE - 1);
    int head = in.readInt("version", 1, Integer.MAX_VALUE - 1);
    String name = in.readName();
    Redundancy redundancy = in.readRedundancy();
    int most = VolumeSpecification.MAX_BLOCK_BYTES / BlockPointer.UNIT_BYTES;
    int blockUnits = in.readInt("block size", 1, most);
    if (blockUnits % redundancy.granule() != 0) {
      throw in.damaged("block size " + blockUnits + " for " + redundancy);
    }
    boolean compressed = in.readBoolean();
    byte[] key = in.readBytes();
    if (key.length != 0 && key.length != VolumeCipher.STORED_KEY_BYTES) {
      throw in.damaged("a key of " + key.length + " bytes");
    }
    VolumeLimits limits =
        new VolumeLimits(
            in.readLong("limit", 0, Long.MAX_VALUE), in.readLong("limit", 0, Long.MAX_VALUE));
    return new VolumeRecord(
        id, family, head, name, redundancy, blockUnits, compressed, key, limits, in.readBoolean());
  }
}
