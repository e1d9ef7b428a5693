package io.anillo.storage.pool;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.Collection;

/** The list of everything but blocks: groups, volumes, versions. Written whole by checkpoints. */
final class Catalog {
  private Catalog() {}

  static byte[] serialize(PoolState state) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(state.nextVersion);
    out.writeInt(state.nextVolume);
    Collection<Group> groups = state.allocator.groups();
    out.writeInt(groups.size());
    for (Group group : groups) {
      group.write(out);
    }
    synchronized (state.volumes) {
      out.writeInt(state.volumes.size());
      for (VolumeRecord volume : state.volumes.values()) {
        volume.write(out);
      }
    }
    out.writeInt(state.families.size());
    for (VolumeFamily family : state.families.values()) {
      out.writeInt(family.id);
      out.writeInt(family.versions.size());
      for (Version version : family.versions.values()) {
        version.write(out);
      }
    }
    return bytes.toByteArray();
  }

  static void parse(byte[] bytes, PoolState state) throws IOException {
    MetadataInput in = new MetadataInput("catalog", bytes);
    state.nextVersion = in.readInt("version", 1, Integer.MAX_VALUE);
    state.nextVolume = in.readInt("volume", 1, Integer.MAX_VALUE);
    int slabUnits = (int) (state.slabBytes / BlockPointer.UNIT_BYTES);
    for (int i = in.readCount(16); i > 0; i--) {
      state.allocator.adopt(Group.read(in, state::disk, slabUnits));
    }
    for (int i = in.readCount(30); i > 0; i--) {
      VolumeRecord volume = VolumeRecord.read(in);
      state.volumes.put(volume.name(), volume);
      state.nextVolume = Math.max(state.nextVolume, volume.id() + 1);
    }
    for (int i = in.readCount(8); i > 0; i--) {
      VolumeFamily family = state.family(in.readInt());
      for (int j = in.readCount(50); j > 0; j--) {
        Version version = Version.read(in);
        family.versions.put(version.id, version);
        state.nextVersion = Math.max(state.nextVersion, version.id + 1);
      }
    }
  }

  static byte[] serializeGroups(Collection<Group> groups) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    for (Group group : groups) {
      group.write(out);
    }
    return bytes.toByteArray();
  }
}
