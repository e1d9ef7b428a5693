package io.anillo.storage.nbd;

import io.anillo.storage.block.BlockDevice;

/**
 * A device offered under a name.
 *
 * @param readOnly refuses writes even if the device would take them
 */
public record NbdExport(String name, String description, BlockDevice device, boolean readOnly) {
  boolean writable() {
    return !readOnly && !device.readOnly();
  }

  int transmissionFlags(boolean structured) {
    int flags =
        NbdProtocol.FLAG_HAS_FLAGS
            | NbdProtocol.FLAG_SEND_FLUSH
            | NbdProtocol.FLAG_CAN_MULTI_CONN
            | NbdProtocol.FLAG_SEND_CACHE;
    if (structured) {
      flags |= NbdProtocol.FLAG_SEND_DF;
    }
    return writable()
        ? flags
            | NbdProtocol.FLAG_SEND_FUA
            | NbdProtocol.FLAG_SEND_TRIM
            | NbdProtocol.FLAG_SEND_WRITE_ZEROES
            | NbdProtocol.FLAG_SEND_RESIZE
        : flags | NbdProtocol.FLAG_READ_ONLY;
  }
}
