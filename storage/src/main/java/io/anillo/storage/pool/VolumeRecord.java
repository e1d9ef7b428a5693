package io.anillo.storage.pool;

import java.io.DataInputStream;
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

  static VolumeRecord read(DataInputStream in) throws IOException {
    int id = in.readInt();
    int family = in.readInt();
    int head = in.readInt();
    String name = in.readUTF();
    int kind = in.readUnsignedByte();
    Redundancy redundancy =
        new Redundancy(
            Redundancy.Kind.values()[kind], in.readUnsignedByte(), in.readUnsignedByte());
    int blockUnits = in.readInt();
    boolean compressed = in.readBoolean();
    byte[] key = in.readNBytes(in.readInt());
    VolumeLimits limits = new VolumeLimits(in.readLong(), in.readLong());
    return new VolumeRecord(
        id, family, head, name, redundancy, blockUnits, compressed, key, limits, in.readBoolean());
  }
}
