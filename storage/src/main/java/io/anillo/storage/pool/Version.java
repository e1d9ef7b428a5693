package io.anillo.storage.pool;

import java.io.DataOutputStream;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * One state of a volume: its present, or a snapshot. Versions form a tree by {@link #parentId};
 * what is in a version and not written by it is in its parent as well.
 */
final class Version {
  /** No name that a user gives begins so. */
  private static final String HIDDEN = "#";

  final int id;
  int parentId;
  final int volumeId;

  /** The snapshot's name; empty for the volume's present; {@code #} and the number when hidden. */
  String name;

  long sizeBytes;
  long createdMillis;
  int height;

  /** The root's pointer as of the last checkpoint; 0 for an empty map. */
  long rootLocation;

  long rootCheck;
  @Nullable TreeNode root;

  Version(int id, int parentId, int volumeId, String name, long sizeBytes, int height) {
    this.id = id;
    this.parentId = parentId;
    this.volumeId = volumeId;
    this.name = name;
    this.sizeBytes = sizeBytes;
    this.height = height;
  }

  boolean isSnapshot() {
    return !name.isEmpty() && !isHidden();
  }

  /** Deleted, but still needed by the versions that came from it. */
  boolean isHidden() {
    return name.startsWith(HIDDEN);
  }

  void hide() {
    name = HIDDEN + id;
  }

  boolean empty() {
    return root == null && rootLocation == 0;
  }

  void write(DataOutputStream out) throws IOException {
    out.writeInt(id);
    out.writeInt(parentId);
    out.writeInt(volumeId);
    out.writeUTF(name);
    out.writeLong(sizeBytes);
    out.writeLong(createdMillis);
    out.writeInt(height);
    out.writeLong(rootLocation);
    out.writeLong(rootCheck);
  }

  static Version read(MetadataInput in) throws IOException {
    int id = in.readInt("version", 1, Integer.MAX_VALUE - 1);
    // a version is younger than what it came from, so that there are no circles
    int parent = in.readInt("parent version", 0, id - 1);
    int volume = in.readInt("volume", 1, Integer.MAX_VALUE - 1);
    String name = in.readText();
    boolean known = name.isEmpty() || name.equals(HIDDEN + id) || PoolNames.valid(name);
    if (!known) {
      throw in.damaged("a snapshot with a name that nobody can have given");
    }
    long size = in.readLong("size", 0, VolumeSpecification.MAX_BYTES);
    Version version = new Version(id, parent, volume, name, size, 0);
    version.createdMillis = in.readLong();
    version.height = in.readInt("height", 1, VolumeFamily.MAX_HEIGHT);
    version.rootLocation = in.readLong();
    version.rootCheck = in.readLong();
    return version;
  }
}
