package io.anillo.cli.storage;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.nbd.NbdExport;
import io.anillo.storage.nbd.NbdExports;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolStatus;
import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** The volumes of a pool as exports, kept in step with the pool while it is served. */
final class VolumeExports implements AutoCloseable {
  private final Pool pool;
  private final NbdExports exports;
  private final Optional<char[]> passphrase;
  private final boolean readOnly;
  private final Map<String, BlockDevice> open = new HashMap<>();

  VolumeExports(Pool pool, NbdExports exports, Optional<char[]> passphrase, boolean readOnly) {
    this.pool = pool;
    this.exports = exports;
    this.passphrase = passphrase;
    this.readOnly = readOnly;
  }

  /** Opens volumes that are new. An encrypted one whose passphrase is not given is left out. */
  synchronized void refresh() throws IOException {
    Set<String> present = new HashSet<>();
    for (PoolStatus.VolumeStatus volume : pool.status().volumes()) {
      present.add(volume.name());
      if (open.containsKey(volume.name())) {
        continue;
      }
      if (volume.encrypted() && passphrase.isEmpty()) {
        System.err.println(
            "volume " + volume.name() + " is encrypted and not served: no --passphrase-file");
        continue;
      }
      BlockDevice device =
          pool.openVolume(volume.name(), volume.encrypted() ? passphrase : Optional.empty());
      open.put(volume.name(), device);
      exports.put(new NbdExport(volume.name(), volume.redundancy(), device, readOnly));
    }
    for (String name : Set.copyOf(open.keySet())) {
      if (!present.contains(name)) {
        release(name);
      }
    }
  }

  private void release(String name) throws IOException {
    exports.remove(name);
    BlockDevice device = open.remove(name);
    if (device != null) {
      device.close();
    }
  }

  /** Carries out a command of another process, and serves what there is afterwards. */
  int carryOut(StorageCommand.OnPool command, Pool target) throws IOException {
    if (command instanceof VolumeCommand.Delete delete) {
      String name = StorageCommand.given(delete.name);
      if (exports.users(name) > 0) {
        throw new IOException(
            "volume %s is in use by %d connections".formatted(name, exports.users(name)));
      }
      synchronized (this) {
        release(name);
      }
    }
    try {
      return command.run(target);
    } finally {
      refresh();
    }
  }

  @Override
  public synchronized void close() throws IOException {
    for (String name : Set.copyOf(open.keySet())) {
      release(name);
    }
  }
}
