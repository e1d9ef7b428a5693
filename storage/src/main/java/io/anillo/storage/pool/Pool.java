package io.anillo.storage.pool;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.lock.RangeLocks;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Several disks as one store of thin volumes. All methods may be called from any thread; what has
 * returned is durable unless it says otherwise.
 */
public final class Pool implements AutoCloseable {
  private final PoolState state;
  private final Committer committer;
  private final PoolMaintenance maintenance;
  private final ReentrantLock structure = new ReentrantLock();
  private final Map<String, Throttle> throttles = new ConcurrentHashMap<>();
  private final Map<Integer, Set<ThinVolume>> open = new ConcurrentHashMap<>();

  /** Blocks that are being changed, by volume: all handles of one share them. */
  private final Map<Integer, RangeLocks> changing = new ConcurrentHashMap<>();

  private final UnlockedKeys keys = new UnlockedKeys();
  private final PoolUpkeep upkeep;

  private Pool(PoolOpener.Opened opened, PoolOptions options) {
    this.state = opened.state();
    this.committer = opened.committer();
    this.maintenance = new PoolMaintenance(state, committer, structure);
    this.upkeep = new PoolUpkeep(state, committer, maintenance, options, opened.wantsScrub());
    upkeep.start();
  }

  /** Makes a pool of disks; what they held is lost. The pool closes them. */
  public static Pool create(String name, List<Disk> disks, PoolOptions options) throws IOException {
    return new Pool(new PoolOpener(options).create(name, disks), options);
  }

  /** Opens a pool from its disks, in any order. */
  public static Pool open(List<Disk> disks, PoolOptions options) throws IOException {
    return new Pool(new PoolOpener(options).open(disks), options);
  }

  /** The pool that a disk belongs to. */
  public static Optional<UUID> poolOf(Disk disk) throws IOException {
    return DiskLabel.read(disk).map(DiskLabel::pool);
  }

  public String name() {
    return state.name;
  }

  public UUID uuid() {
    return state.uuid;
  }

  /** Makes everything durable that was done before. */
  void commit() throws IOException {
    committer.commit();
  }

  PoolUpkeep upkeep() {
    return upkeep;
  }

  /** Makes an empty volume. */
  public void createVolume(VolumeSpecification specification) throws IOException {
    structure.lock();
    try {
      state.requireWorking();
      requireFree(specification.name());
      int disks = 0;
      for (PoolDisk disk : state.disks()) {
        disks += disk.usable() ? 1 : 0;
      }
      if (disks < specification.redundancy().width()) {
        throw new IOException(
            "%s needs %d disks; pool %s has %d"
                .formatted(
                    specification.redundancy(),
                    specification.redundancy().width(),
                    state.name,
                    disks));
      }
      byte[] key =
          specification.passphrase().isPresent()
              ? VolumeCipher.newKey(specification.passphrase().get())
              : new byte[0];
      int id = state.nextVolume++;
      int head = state.nextVersion++;
      VolumeRecord volume =
          new VolumeRecord(
              id,
              id,
              head,
              specification.name(),
              specification.redundancy(),
              specification.blockBytes() / BlockPointer.UNIT_BYTES,
              specification.compressed(),
              key,
              specification.limits(),
              specification.failWhenFull());
      long blocks =
          (specification.sizeBytes() + specification.blockBytes() - 1) / specification.blockBytes();
      Version version =
          new Version(head, 0, id, "", specification.sizeBytes(), VolumeFamily.heightFor(blocks));
      version.createdMillis = System.currentTimeMillis();
      addVersion(volume, version);
    } finally {
      structure.unlock();
    }
    commit();
  }

  private void requireFree(String volumeName) throws IOException {
    synchronized (state.volumes) {
      if (state.volumes.containsKey(volumeName)) {
        throw new IOException(
            "pool " + state.name + " has a volume \"" + volumeName + "\" already");
      }
    }
  }

  /** Enters a volume with its head, in memory and in the log. */
  private void addVersion(VolumeRecord volume, Version version) {
    VolumeFamily family = state.family(volume.familyId());
    state.quiesce.readLock().lock();
    family.lock.writeLock().lock();
    try {
      family.versions.put(version.id, version);
      synchronized (state.volumes) {
        state.volumes.put(volume.name(), volume);
      }
      logVersion(family, version);
      state.pending.add(PendingLog.VOLUME, volume::write);
    } finally {
      family.lock.writeLock().unlock();
      state.quiesce.readLock().unlock();
    }
  }

  private void logVersion(VolumeFamily family, Version version) {
    state.pending.add(
        PendingLog.VERSION,
        out -> {
          out.writeInt(family.id);
          version.write(out);
        });
  }

  /** Opens a volume for use; all handles of one volume see the same. */
  public ThinVolume openVolume(String volumeName, Optional<char[]> passphrase) throws IOException {
    structure.lock();
    try {
      VolumeRecord volume = state.volume(volumeName);
      return handle(volume, state.head(volume), passphrase);
    } finally {
      structure.unlock();
    }
  }

  /** Opens a snapshot for reading. */
  public ThinVolume openSnapshot(
      String volumeName, String snapshotName, Optional<char[]> passphrase) throws IOException {
    structure.lock();
    try {
      VolumeRecord volume = state.volume(volumeName);
      return handle(volume, state.requireSnapshot(volume, snapshotName), passphrase);
    } finally {
      structure.unlock();
    }
  }

  private ThinVolume handle(VolumeRecord volume, Version version, Optional<char[]> passphrase)
      throws IOException {
    Optional<VolumeCipher> cipher = Optional.empty();
    if (volume.key().length > 0) {
      if (passphrase.isEmpty()) {
        throw new IOException("volume " + volume.name() + " is encrypted: give its passphrase");
      }
      try {
        cipher = Optional.of(keys.unlock(volume.key(), passphrase.get()));
      } catch (IOException wrong) {
        throw new IOException("volume " + volume.name() + ": " + wrong.getMessage(), wrong);
      }
    }
    BlockCodec codec =
        new BlockCodec(volume.blockBytes(), volume.redundancy(), volume.compressed(), cipher);
    Throttle throttle =
        throttles.computeIfAbsent(volume.name(), absent -> new Throttle(volume.limits()));
    RangeLocks ranges = changing.computeIfAbsent(volume.id(), absent -> new RangeLocks());
    ThinVolume handle = new ThinVolume(this, state, volume, version, codec, throttle, ranges);
    open.computeIfAbsent(volume.id(), absent -> ConcurrentHashMap.newKeySet()).add(handle);
    return handle;
  }

  void closed(ThinVolume handle) {
    open.values().forEach(handles -> handles.remove(handle));
  }

  private Set<ThinVolume> handles(VolumeRecord volume) {
    return open.getOrDefault(volume.id(), Set.of());
  }

  /** Keeps what the volume holds now under a name. Costs nothing but the commit. */
  public void snapshot(String volumeName, String snapshotName) throws IOException {
    snapshot(volumeName, snapshotName, System.currentTimeMillis());
  }

  void snapshot(String volumeName, String snapshotName, long createdMillis) throws IOException {
    PoolNames.requireValid(snapshotName);
    structure.lock();
    try {
      state.requireWorking();
      VolumeRecord volume = state.volume(volumeName);
      if (state.snapshot(volume, snapshotName).isPresent()) {
        throw new IOException(
            "volume " + volumeName + " has a snapshot \"" + snapshotName + "\" already");
      }
      VolumeFamily family = state.family(volume.familyId());
      state.quiesce.readLock().lock();
      family.lock.writeLock().lock();
      try {
        int newHead = state.nextVersion;
        state.pending.add(
            PendingLog.SNAPSHOT,
            out -> {
              out.writeUTF(volumeName);
              out.writeUTF(snapshotName);
              out.writeInt(newHead);
              out.writeLong(createdMillis);
            });
        Version head =
            Snapshots.freeze(state, family, volume, snapshotName, newHead, createdMillis);
        moveWriters(volume, head);
      } finally {
        family.lock.writeLock().unlock();
        state.quiesce.readLock().unlock();
      }
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** Makes a writable volume that begins as a snapshot and shares its blocks. */
  public void cloneVolume(String volumeName, String snapshotName, String newName)
      throws IOException {
    PoolNames.requireValid(newName);
    structure.lock();
    try {
      state.requireWorking();
      requireFree(newName);
      VolumeRecord volume = state.volume(volumeName);
      Version origin = state.requireSnapshot(volume, snapshotName);
      int id = state.nextVolume++;
      int head = state.nextVersion++;
      VolumeRecord copy =
          new VolumeRecord(
              id,
              volume.familyId(),
              head,
              newName,
              volume.redundancy(),
              volume.blockUnits(),
              volume.compressed(),
              volume.key(),
              VolumeLimits.NONE,
              volume.failWhenFull());
      Version version = new Version(head, origin.id, id, "", origin.sizeBytes, origin.height);
      version.createdMillis = System.currentTimeMillis();
      Snapshots.share(origin, version);
      addVersion(copy, version);
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** Makes the volume again what it was at a snapshot; later snapshots stay. */
  public void rollBack(String volumeName, String snapshotName) throws IOException {
    structure.lock();
    try {
      state.requireWorking();
      VolumeRecord volume = state.volume(volumeName);
      Version target = state.requireSnapshot(volume, snapshotName);
      VolumeFamily family = state.family(volume.familyId());
      state.quiesce.readLock().lock();
      family.lock.writeLock().lock();
      try {
        remove(family, state.head(volume));
        Version head =
            new Version(
                state.nextVersion++, target.id, volume.id(), "", target.sizeBytes, target.height);
        head.createdMillis = System.currentTimeMillis();
        Snapshots.share(target, head);
        family.versions.put(head.id, head);
        VolumeRecord changed = volume.withHead(head.id);
        synchronized (state.volumes) {
          state.volumes.put(volumeName, changed);
        }
        logVersion(family, head);
        state.pending.add(PendingLog.VOLUME, changed::write);
        moveWriters(volume, head);
      } finally {
        family.lock.writeLock().unlock();
        state.quiesce.readLock().unlock();
      }
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** Lets whoever has the volume open for writing go on in another version. */
  private void moveWriters(VolumeRecord volume, Version head) {
    for (ThinVolume handle : handles(volume)) {
      if (!handle.readOnly()) {
        handle.moveTo(head);
      }
    }
  }

  /** Takes a version out of its family and frees what only it had; in the log as well. */
  private void remove(VolumeFamily family, Version version) throws IOException {
    state.pending.add(
        PendingLog.REMOVE_VERSION,
        out -> {
          out.writeInt(family.id);
          out.writeInt(version.id);
        });
    Snapshots.remove(state, family, version);
  }

  public void deleteSnapshot(String volumeName, String snapshotName) throws IOException {
    structure.lock();
    try {
      state.requireWorking();
      VolumeRecord volume = state.volume(volumeName);
      Version snapshot = state.requireSnapshot(volume, snapshotName);
      for (ThinVolume handle : handles(volume)) {
        if (handle.version() == snapshot) {
          throw new IOException("snapshot " + snapshotName + " is in use");
        }
      }
      removeAll(state.family(volume.familyId()), List.of(snapshot), Optional.empty());
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** Deletes a volume with its snapshots; clones of them live on. */
  public void deleteVolume(String volumeName) throws IOException {
    structure.lock();
    try {
      state.requireWorking();
      VolumeRecord volume = state.volume(volumeName);
      if (!handles(volume).isEmpty()) {
        throw new IOException("volume " + volumeName + " is in use");
      }
      VolumeFamily family = state.family(volume.familyId());
      List<Version> own = new ArrayList<>();
      for (Version version : family.versions.values()) {
        if (version.volumeId == volume.id()) {
          own.add(version);
        }
      }
      throttles.remove(volumeName);
      changing.remove(volume.id());
      removeAll(family, own.reversed(), Optional.of(volumeName));
    } finally {
      structure.unlock();
    }
    commit();
  }

  private void removeAll(VolumeFamily family, List<Version> versions, Optional<String> volumeName)
      throws IOException {
    state.quiesce.readLock().lock();
    family.lock.writeLock().lock();
    try {
      for (Version version : versions) {
        // a hidden one goes with the last but one of its children, which may have been before it
        if (family.versions.get(version.id) == version) {
          remove(family, version);
        }
      }
      if (volumeName.isPresent()) {
        synchronized (state.volumes) {
          state.volumes.remove(volumeName.get());
        }
        state.pending.add(PendingLog.REMOVE_VOLUME, out -> out.writeUTF(volumeName.get()));
      }
    } finally {
      family.lock.writeLock().unlock();
      state.quiesce.readLock().unlock();
    }
  }

  void resize(ThinVolume handle, String volumeName, long newSizeBytes) throws IOException {
    if (newSizeBytes <= 0 || newSizeBytes % 512 != 0 || newSizeBytes > 1L << 50) {
      throw new IOException("a volume's size is a multiple of 512 bytes up to 1 PiB");
    }
    if (newSizeBytes < handle.sizeBytes()) {
      handle.cut(newSizeBytes);
    }
    structure.lock();
    try {
      VolumeRecord volume = state.volume(volumeName);
      VolumeFamily family = state.family(volume.familyId());
      state.quiesce.readLock().lock();
      family.lock.writeLock().lock();
      try {
        Version head = state.head(volume);
        head.sizeBytes = newSizeBytes;
        logVersion(family, head);
      } finally {
        family.lock.writeLock().unlock();
        state.quiesce.readLock().unlock();
      }
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** What a volume may use at most. */
  public VolumeLimits limits(String volumeName) throws IOException {
    return state.volume(volumeName).limits();
  }

  /** Changes what a volume may use; requests that wait feel it at once. */
  public void setLimits(String volumeName, VolumeLimits limits) throws IOException {
    long least = Math.min(limits.operationsPerSecond(), limits.bytesPerSecond());
    if (least < 0) {
      throw new IOException("a limit is 0 (none) or more, not " + least);
    }
    structure.lock();
    try {
      VolumeRecord volume = state.volume(volumeName).withLimits(limits);
      synchronized (state.volumes) {
        state.volumes.put(volumeName, volume);
      }
      state.pending.add(PendingLog.VOLUME, volume::write);
      throttles.computeIfAbsent(volumeName, absent -> new Throttle(limits)).setLimits(limits);
    } finally {
      structure.unlock();
    }
    commit();
  }

  /** A run of bytes that differs. */
  public interface Change {
    /**
     * Receives one.
     *
     * @param stored false when the range reads as zeros now
     */
    void range(long offset, long length, boolean stored) throws IOException;
  }

  /** Lists what a snapshot changed since an earlier one (or since the beginning). */
  public void difference(
      String volumeName, Optional<String> fromSnapshot, String toSnapshot, Change change)
      throws IOException {
    VolumeRecord volume = state.volume(volumeName);
    VolumeFamily family = state.family(volume.familyId());
    Version to = state.requireSnapshot(volume, toSnapshot);
    Version from =
        fromSnapshot.isPresent() ? state.requireSnapshot(volume, fromSnapshot.get()) : null;
    DifferenceRuns runs = new DifferenceRuns(volume.blockBytes(), to.sizeBytes, change);
    long size = Math.max(to.sizeBytes, from == null ? 0 : from.sizeBytes);
    long blocks = (size + volume.blockBytes() - 1) / volume.blockBytes();
    // piece by piece, so that a large volume neither fills memory nor holds up its writers
    for (long first = 0; first < blocks; first += VolumeFamily.DIFFERENCE_BLOCKS) {
      List<long[]> found = new ArrayList<>();
      family.lock.writeLock().lock();
      try {
        family.difference(
            from, to, first, (block, location, check) -> found.add(new long[] {block, location}));
      } finally {
        family.lock.writeLock().unlock();
      }
      for (long[] block : found) {
        runs.add(block[0], block[1] != 0);
      }
    }
    runs.end();
  }

  /**
   * Writes a snapshot as a stream for another pool.
   *
   * @param fromSnapshot an earlier one that the receiver has; only what changed since is sent
   */
  public void send(
      String volumeName,
      Optional<String> fromSnapshot,
      String toSnapshot,
      Optional<char[]> passphrase,
      OutputStream target)
      throws IOException {
    new Replication(this, state).send(volumeName, fromSnapshot, toSnapshot, passphrase, target);
  }

  /**
   * Takes a stream that {@link #send} wrote. A whole one makes the volume, an increment goes on
   * from the snapshot it builds on; when it has been checked, the sent snapshot is there. What
   * fails leaves nothing behind.
   *
   * @param specification how a new volume is made; its name is the volume's, its size is not used
   * @param rollBack whether changes made here since that snapshot may be lost
   */
  public void receive(InputStream source, VolumeSpecification specification, boolean rollBack)
      throws IOException {
    new Replication(this, state).receive(source, specification, rollBack);
  }

  /** Checks every copy of every block and puts right what is wrong; writers go on meanwhile. */
  public PoolMaintenance.ScrubResult scrub() throws IOException {
    return maintenance.scrub(false, () -> false);
  }

  /** Adds an empty disk. */
  public void addDisk(Disk disk, boolean spare) throws IOException {
    maintenance.addDisk(disk, spare);
  }

  /** Moves everything from a disk to the others and lets go of it. */
  public void removeDisk(String diskName) throws IOException {
    maintenance.removeDisk(diskName);
  }

  /** Rebuilds what a disk holds, or held, on a new one that takes its place. */
  public void replaceDisk(String diskName, Disk replacement) throws IOException {
    maintenance.replaceDisk(diskName, replacement);
  }

  /** Moves slabs from fuller disks to emptier ones. */
  public int rebalance() throws IOException {
    return maintenance.rebalance();
  }

  /** Takes a failing disk out of use; what it holds is rebuilt onto a spare if there is one. */
  public void failDisk(String diskName) throws IOException {
    state.diskFailed(maintenance.find(diskName), new IOException("taken out of use"));
    commit();
  }

  public PoolStatus status() throws IOException {
    return PoolStatus.of(state, maintenance.lastScrubMillis());
  }

  /** Commits, writes a checkpoint and closes the disks. */
  @Override
  public void close() throws IOException {
    if (!upkeep.end()) {
      return;
    }
    try {
      if (state.broken == null) {
        committer.checkpoint();
      }
    } finally {
      for (PoolDisk disk : state.disks()) {
        disk.detach();
      }
    }
  }
}
