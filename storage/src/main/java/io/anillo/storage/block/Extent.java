package io.anillo.storage.block;

/**
 * How a run of bytes of a block device is stored.
 *
 * @param lengthBytes how far it reaches, at least 1
 * @param hole no space is taken by it in this device
 * @param zero it reads as zeros
 */
public record Extent(long lengthBytes, boolean hole, boolean zero) {

  public static Extent data(long lengthBytes) {
    return new Extent(lengthBytes, false, false);
  }

  public static Extent hole(long lengthBytes) {
    return new Extent(lengthBytes, true, true);
  }

  public Extent withLength(long length) {
    return length == lengthBytes ? this : new Extent(length, hole, zero);
  }

  public boolean sameKind(Extent other) {
    return hole == other.hole && zero == other.zero;
  }
}
