package io.anillo.storage.pool;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Optional;

/** Snapshots sent from pool to pool: all of one, or what changed since an earlier one. */
final class Replication {
  /** The snapshot that has what a roll back takes away, until the increment is there whole. */
  private static final String KEPT = "before-receive";

  private final Pool pool;
  private final PoolState state;

  Replication(Pool pool, PoolState state) {
    this.pool = pool;
    this.state = state;
  }

  private VolumeSender.Origin origin(String volumeName, String snapshotName) throws IOException {
    Version version = state.requireSnapshot(state.volume(volumeName), snapshotName);
    return new VolumeSender.Origin(snapshotName, version.createdMillis);
  }

  void send(
      String volumeName,
      Optional<String> fromSnapshot,
      String toSnapshot,
      Optional<char[]> passphrase,
      OutputStream target)
      throws IOException {
    // open snapshots cannot be deleted meanwhile
    try (ThinVolume contents = pool.openSnapshot(volumeName, toSnapshot, passphrase);
        ThinVolume base =
            pool.openSnapshot(volumeName, fromSnapshot.orElse(toSnapshot), passphrase)) {
      Optional<VolumeSender.Origin> from =
          fromSnapshot.isPresent()
              ? Optional.of(origin(volumeName, fromSnapshot.get()))
              : Optional.empty();
      VolumeSender.send(
          pool,
          contents,
          volumeName,
          base.preferredBlockBytes(),
          from,
          origin(volumeName, toSnapshot),
          target);
    }
  }

  void receive(InputStream source, VolumeSpecification specification, boolean rollBack)
      throws IOException {
    String name = specification.name();
    VolumeReceiver receiver = new VolumeReceiver(source);
    VolumeReceiver.Header header = receiver.header();
    boolean whole = header.from().isEmpty();
    Optional<String> kept = Optional.empty();
    if (whole) {
      pool.createVolume(specification.withSize(header.sizeBytes()));
    } else {
      kept = prepare(name, header.from().get(), header.to(), rollBack);
    }
    boolean done = false;
    try {
      try (ThinVolume target = pool.openVolume(name, specification.passphrase())) {
        if (target.sizeBytes() != header.sizeBytes()) {
          target.resize(header.sizeBytes());
        }
        receiver.contents(target);
      }
      pool.snapshot(name, header.to().name(), header.to().createdMillis());
      done = true;
    } finally {
      if (!done && whole) {
        pool.deleteVolume(name);
      } else if (!done && header.from().isPresent()) {
        pool.rollBack(name, kept.orElse(header.from().get().name()));
      }
      if (kept.isPresent()) {
        pool.deleteSnapshot(name, kept.get());
      }
    }
  }

  /**
   * Brings a volume to where an increment begins, if it may come.
   *
   * @return the snapshot that has what the volume was before, if it was rolled back
   */
  private Optional<String> prepare(
      String name, VolumeSender.Origin from, VolumeSender.Origin to, boolean rollBack)
      throws IOException {
    Optional<Version> present = state.snapshot(state.volume(name), from.name());
    if (present.isEmpty() || present.get().createdMillis != from.createdMillis()) {
      throw new IOException(
          "volume %s has no snapshot \"%s\" that is the sender's; receive that one first"
              .formatted(name, from.name()));
    }
    if (state.snapshot(state.volume(name), to.name()).isPresent()) {
      throw new IOException("volume %s has a snapshot \"%s\" already".formatted(name, to.name()));
    }
    if (rollBack) {
      String kept = KEPT;
      for (int i = 2; state.snapshot(state.volume(name), kept).isPresent(); i++) {
        kept = KEPT + "-" + i;
      }
      pool.snapshot(name, kept);
      pool.rollBack(name, from.name());
      return Optional.of(kept);
    }
    VolumeFamily family = state.family(state.volume(name).familyId());
    boolean[] changed = new boolean[1];
    family.lock.writeLock().lock();
    try {
      Version head = state.head(state.volume(name));
      changed[0] = head.sizeBytes != present.get().sizeBytes;
      family.difference(present.get(), head, (block, location, check) -> changed[0] = true);
    } finally {
      family.lock.writeLock().unlock();
    }
    if (changed[0]) {
      throw new IOException(
          "volume %s was changed since \"%s\"; receive with a roll back to lose those changes"
              .formatted(name, from.name()));
    }
    return Optional.empty();
  }
}
