package io.anillo.vmm.device.virtio.block;

/** The request types (virtio 1.2 §5.2.6). */
enum BlockOperation {
  READ,
  WRITE,
  FLUSH,
  GET_ID,
  DISCARD,
  WRITE_ZEROES,
  UNSUPPORTED;

  static BlockOperation of(int code) {
    return switch (code) {
      case 0 -> READ;
      case 1 -> WRITE;
      case 4 -> FLUSH;
      case 8 -> GET_ID;
      case 11 -> DISCARD;
      case 13 -> WRITE_ZEROES;
      default -> UNSUPPORTED;
    };
  }
}
