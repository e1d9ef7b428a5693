package io.anillo.storage.pool;

import java.util.Optional;

/**
 * A volume to be made.
 *
 * @param blockBytes unit of mapping, checksums and compression; a multiple of 4096 (times the
 *     number of data disks for parity), at most 1 MiB
 * @param passphrase encrypts the volume when given
 * @param failWhenFull a write to a full pool fails instead of waiting
 */
public record VolumeSpecification(
    String name,
    long sizeBytes,
    Redundancy redundancy,
    int blockBytes,
    boolean compressed,
    Optional<char[]> passphrase,
    VolumeLimits limits,
    boolean failWhenFull) {
  static final int MAX_BLOCK_BYTES = 1 << 20;
  static final long MAX_BYTES = 1L << 50;

  /** Checks that it can be made. */
  public VolumeSpecification {
    PoolNames.requireValid(name);
    if (sizeBytes <= 0 || sizeBytes % 512 != 0 || sizeBytes > MAX_BYTES) {
      throw new IllegalArgumentException(
          "a volume's size is a multiple of 512 bytes up to 1 PiB, not " + sizeBytes);
    }
    int granule = redundancy.granule() * BlockPointer.UNIT_BYTES;
    if (blockBytes <= 0 || blockBytes % granule != 0 || blockBytes > MAX_BLOCK_BYTES) {
      throw new IllegalArgumentException(
          "the block size must be a multiple of %d bytes for %s, not %d"
              .formatted(granule, redundancy, blockBytes));
    }
  }

  /** A plain volume with the default block size. */
  public static VolumeSpecification of(String name, long sizeBytes, Redundancy redundancy) {
    return new VolumeSpecification(
        name,
        sizeBytes,
        redundancy,
        redundancy.granule() * BlockPointer.UNIT_BYTES,
        false,
        Optional.empty(),
        VolumeLimits.NONE,
        false);
  }

  VolumeSpecification withSize(long bytes) {
    return new VolumeSpecification(
        name, bytes, redundancy, blockBytes, compressed, passphrase, limits, failWhenFull);
  }

  /** With zstd compression, in blocks of at least 64 KiB. */
  public VolumeSpecification withCompression() {
    int granule = redundancy.granule() * BlockPointer.UNIT_BYTES;
    int block = Math.max(blockBytes, ((64 << 10) + granule - 1) / granule * granule);
    return new VolumeSpecification(
        name, sizeBytes, redundancy, block, true, passphrase, limits, failWhenFull);
  }

  public VolumeSpecification withPassphrase(char[] words) {
    return new VolumeSpecification(
        name,
        sizeBytes,
        redundancy,
        blockBytes,
        compressed,
        Optional.of(words),
        limits,
        failWhenFull);
  }

  public VolumeSpecification withLimits(VolumeLimits newLimits) {
    return new VolumeSpecification(
        name, sizeBytes, redundancy, blockBytes, compressed, passphrase, newLimits, failWhenFull);
  }

  public VolumeSpecification failingWhenFull() {
    return new VolumeSpecification(
        name, sizeBytes, redundancy, blockBytes, compressed, passphrase, limits, true);
  }
}
