package io.anillo.cli;

import io.anillo.cli.storage.Pools;
import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.image.ImageFormat;
import io.anillo.storage.image.Images;
import io.anillo.vmm.device.disk.RawFileDisk;
import io.anillo.vmm.port.BlockBackend;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** Opens a machine's disks; volumes of one pool share the open pool, which the last one closes. */
final class MachineDisks {
  private final Map<Set<Path>, SharedPool> pools = new HashMap<>();

  BlockBackend open(DiskOption disk) throws IOException {
    if (!disk.poolDisks().isEmpty()) {
      return openVolume(disk);
    }
    if (disk.isFile() && disk.format() == ImageFormat.RAW && !disk.direct()) {
      return RawFileDisk.open(Path.of(disk.location()), disk.readOnly());
    }
    Images.Options options =
        new Images.Options(
            Optional.of(disk.format()), disk.readOnly(), disk.direct(), true, disk.snapshot());
    return Images.open(disk.location(), options);
  }

  private BlockBackend openVolume(DiskOption disk) throws IOException {
    Set<Path> key = new TreeSet<>();
    for (Path file : disk.poolDisks()) {
      key.add(file.toAbsolutePath().normalize());
    }
    SharedPool shared = pools.get(key);
    if (shared == null) {
      shared = new SharedPool(Pools.open(List.copyOf(key), false));
      pools.put(key, shared);
    }
    boolean opened = false;
    shared.users++;
    try {
      Optional<char[]> passphrase = Optional.empty();
      if (disk.passphraseFile().isPresent()) {
        String text = Files.readString(disk.passphraseFile().get(), StandardCharsets.UTF_8);
        passphrase = Optional.of(text.strip().toCharArray());
      }
      BlockDevice device =
          disk.snapshot().isPresent()
              ? shared.pool.pool().openSnapshot(disk.location(), disk.snapshot().get(), passphrase)
              : shared.pool.pool().openVolume(disk.location(), passphrase);
      opened = true;
      return new Volume(device, shared, disk.readOnly());
    } finally {
      if (!opened) {
        shared.release();
      }
    }
  }

  /** An open pool and how many volumes of it the machine uses. */
  private static final class SharedPool {
    private final Pools.OpenPool pool;
    private int users;

    SharedPool(Pools.OpenPool pool) {
      this.pool = pool;
    }

    void release() throws IOException {
      users--;
      if (users == 0) {
        pool.close();
      }
    }
  }

  /** A volume that lets go of its pool. */
  private record Volume(BlockDevice device, SharedPool shared, boolean readOnly)
      implements BlockBackend {
    @Override
    public long sizeBytes() {
      return device.sizeBytes();
    }

    @Override
    public int preferredBlockBytes() {
      return device.preferredBlockBytes();
    }

    private void requireWritable() throws IOException {
      if (readOnly) {
        throw new IOException("the disk is read-only");
      }
    }

    @Override
    public void read(long offset, ByteBuffer destination) throws IOException {
      device.read(offset, destination);
    }

    @Override
    public void write(long offset, ByteBuffer source) throws IOException {
      requireWritable();
      device.write(offset, source);
    }

    @Override
    public void flush() throws IOException {
      device.flush();
    }

    @Override
    public void discard(long offset, long length) throws IOException {
      requireWritable();
      device.discard(offset, length);
    }

    @Override
    public void writeZeroes(long offset, long length, boolean mayUnmap) throws IOException {
      requireWritable();
      device.writeZeroes(offset, length, mayUnmap);
    }

    @Override
    public void close() throws IOException {
      try {
        device.close();
      } finally {
        shared.release();
      }
    }
  }
}
