package io.anillo.storage.pool;

import java.io.IOException;
import java.util.List;

/**
 * What snapshots and clones do to a family's versions; used live and when replaying the journal.
 */
final class Snapshots {
  private Snapshots() {}

  /** Gives a new version the contents of another. */
  static void share(Version from, Version to) {
    to.height = from.height;
    to.root = from.root;
    to.rootLocation = from.rootLocation;
    to.rootCheck = from.rootCheck;
  }

  /** Makes the present a snapshot and goes on in a new version. */
  static Version freeze(
      PoolState state,
      VolumeFamily family,
      VolumeRecord volume,
      String snapshotName,
      int newHead,
      long createdMillis)
      throws IOException {
    Version frozen = state.head(volume);
    frozen.name = snapshotName;
    Version head = new Version(newHead, frozen.id, volume.id(), "", frozen.sizeBytes, 1);
    frozen.createdMillis = createdMillis;
    head.createdMillis = createdMillis;
    share(frozen, head);
    family.versions.put(head.id, head);
    state.nextVersion = Math.max(state.nextVersion, newHead + 1);
    synchronized (state.volumes) {
      state.volumes.put(volume.name(), volume.withHead(newHead));
    }
    return head;
  }

  /**
   * Takes a version out of its family and frees what only it had. One with several children stays
   * as a hidden version: its children share blocks through it, and only it tells that they do.
   */
  static void remove(PoolState state, VolumeFamily family, Version version) throws IOException {
    List<Version> children = family.children(version);
    if (children.size() > 1) {
      version.hide();
      return;
    }
    family.exclusive(version, state.pending::free, state::nodeFreed);
    for (Version child : children) {
      child.parentId = version.parentId;
    }
    family.versions.remove(version.id);
    Version parent = family.parent(version);
    if (parent != null && parent.isHidden() && family.children(parent).size() < 2) {
      remove(state, family, parent);
    }
  }
}
