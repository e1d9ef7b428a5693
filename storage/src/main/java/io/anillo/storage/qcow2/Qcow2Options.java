package io.anillo.storage.qcow2;

import org.jspecify.annotations.Nullable;

/**
 * How a new image is laid out.
 *
 * @param clusterBytes a power of two from 512 to 2 MiB
 * @param refcountBits 1, 2, 4, 8, 16, 32 or 64
 */
public record Qcow2Options(
    int version,
    int clusterBytes,
    int refcountBits,
    boolean lazyRefcounts,
    boolean extendedL2,
    boolean zstd,
    @Nullable String backingFile,
    @Nullable String backingFormat) {
  public static final Qcow2Options DEFAULT =
      new Qcow2Options(3, 65536, 16, false, false, false, null, null);

  /** Checks that the choices go together. */
  public Qcow2Options {
    if (version != 2 && version != 3) {
      throw new IllegalArgumentException("qcow2 version must be 2 or 3, not " + version);
    }
    if (Integer.bitCount(clusterBytes) != 1 || clusterBytes < 512 || clusterBytes > 2 << 20) {
      throw new IllegalArgumentException(
          "cluster size must be a power of two from 512 to 2M, not " + clusterBytes);
    }
    if (Integer.bitCount(refcountBits) != 1 || refcountBits < 1 || refcountBits > 64) {
      throw new IllegalArgumentException(
          "refcount bits must be a power of two from 1 to 64, not " + refcountBits);
    }
    if (version == 2 && (refcountBits != 16 || lazyRefcounts || extendedL2 || zstd)) {
      throw new IllegalArgumentException("version 2 has none of the features of version 3");
    }
    if (extendedL2 && clusterBytes < 16384) {
      throw new IllegalArgumentException("extended L2 entries need clusters of 16K or more");
    }
  }

  public Qcow2Options withBacking(@Nullable String file, @Nullable String format) {
    return new Qcow2Options(
        version, clusterBytes, refcountBits, lazyRefcounts, extendedL2, zstd, file, format);
  }

  public Qcow2Options withClusterBytes(int bytes) {
    return new Qcow2Options(
        version, bytes, refcountBits, lazyRefcounts, extendedL2, zstd, backingFile, backingFormat);
  }
}
