package io.anillo.storage.pool;

/**
 * Something an operator should know of.
 *
 * @param subject the disk or volume concerned, or the pool
 */
public record PoolEvent(Kind kind, String subject, String message) {
  /** The kinds of events. */
  public enum Kind {
    /** A threshold of used space was passed. */
    SPACE,
    /** No space is left; writers wait. */
    FULL,
    DISK_FAILED,
    REBUILD_STARTED,
    REBUILD_FINISHED,
    /** A block failed its checksum and was put right. */
    HEALED,
    /** A block failed its checksum and nothing could put it right. */
    LOST
  }
}
