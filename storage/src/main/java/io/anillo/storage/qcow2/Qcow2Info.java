package io.anillo.storage.qcow2;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the header of an image says.
 *
 * @param refcountBits width of a reference count
 * @param cleanShutdown false when the reference counts have to be rebuilt
 */
public record Qcow2Info(
    int version,
    long sizeBytes,
    int clusterBytes,
    @Nullable String backingFile,
    @Nullable String backingFormat,
    boolean zstd,
    boolean lazyRefcounts,
    boolean extendedL2,
    int refcountBits,
    boolean cleanShutdown,
    boolean corrupt,
    List<Snapshot> snapshots) {

  /**
   * An internal snapshot.
   *
   * @param takenSeconds when, in seconds since 1970
   * @param vmStateBytes saved machine state that lies behind the disk's end, 0 if none
   */
  public record Snapshot(
      String id, String name, long diskBytes, long takenSeconds, long vmStateBytes) {}

  static Qcow2Info of(Qcow2Header header, SnapshotTable snapshots) {
    return new Qcow2Info(
        header.version,
        header.sizeBytes,
        header.clusterBytes(),
        header.backingFile,
        header.backingFormat,
        header.compressionType == 1,
        (header.compatible & Qcow2Header.LAZY_REFCOUNTS) != 0,
        header.extendedL2(),
        1 << header.refcountOrder,
        (header.incompatible & Qcow2Header.DIRTY) == 0,
        (header.incompatible & Qcow2Header.CORRUPT) != 0,
        snapshots.describe());
  }
}
