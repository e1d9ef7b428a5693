package io.anillo.storage.nbd;

/** The protocol's numbers (NBD {@code doc/proto.md}, "Values"). */
final class NbdProtocol {
  static final int PORT = 10809;
  static final long INITIAL_MAGIC = 0x4e42444d41474943L;
  static final long OPTION_MAGIC = 0x49484156454F5054L;
  static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
  static final int REQUEST_MAGIC = 0x25609513;
  static final int SIMPLE_REPLY_MAGIC = 0x67446698;
  static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;

  static final int HANDSHAKE_FIXED_NEWSTYLE = 1;
  static final int HANDSHAKE_NO_ZEROES = 2;

  static final int OPTION_EXPORT_NAME = 1;
  static final int OPTION_ABORT = 2;
  static final int OPTION_LIST = 3;
  static final int OPTION_START_TLS = 5;
  static final int OPTION_INFO = 6;
  static final int OPTION_GO = 7;
  static final int OPTION_STRUCTURED_REPLY = 8;
  static final int OPTION_LIST_META_CONTEXT = 9;
  static final int OPTION_SET_META_CONTEXT = 10;

  static final int REPLY_ACK = 1;
  static final int REPLY_SERVER = 2;
  static final int REPLY_INFO = 3;
  static final int REPLY_META_CONTEXT = 4;
  static final int REPLY_ERROR = 1 << 31;
  static final int REPLY_UNSUPPORTED = REPLY_ERROR + 1;
  static final int REPLY_POLICY = REPLY_ERROR + 2;
  static final int REPLY_INVALID = REPLY_ERROR + 3;
  static final int REPLY_TLS_REQUIRED = REPLY_ERROR + 5;
  static final int REPLY_UNKNOWN = REPLY_ERROR + 6;
  static final int REPLY_TOO_BIG = REPLY_ERROR + 9;

  static final int INFO_EXPORT = 0;
  static final int INFO_NAME = 1;
  static final int INFO_DESCRIPTION = 2;
  static final int INFO_BLOCK_SIZE = 3;

  static final int FLAG_HAS_FLAGS = 1;
  static final int FLAG_READ_ONLY = 2;
  static final int FLAG_SEND_FLUSH = 4;
  static final int FLAG_SEND_FUA = 8;
  static final int FLAG_SEND_TRIM = 32;
  static final int FLAG_SEND_WRITE_ZEROES = 64;
  static final int FLAG_SEND_DF = 128;
  static final int FLAG_CAN_MULTI_CONN = 256;
  static final int FLAG_SEND_RESIZE = 512;
  static final int FLAG_SEND_CACHE = 1024;

  static final int COMMAND_READ = 0;
  static final int COMMAND_WRITE = 1;
  static final int COMMAND_DISCONNECT = 2;
  static final int COMMAND_FLUSH = 3;
  static final int COMMAND_TRIM = 4;
  static final int COMMAND_CACHE = 5;
  static final int COMMAND_WRITE_ZEROES = 6;
  static final int COMMAND_BLOCK_STATUS = 7;
  static final int COMMAND_RESIZE = 8;

  static final int COMMAND_FLAG_FUA = 1;
  static final int COMMAND_FLAG_NO_HOLE = 2;
  static final int COMMAND_FLAG_DF = 4;
  static final int COMMAND_FLAG_REQUEST_ONE = 8;
  static final int COMMAND_FLAG_FAST_ZERO = 16;

  static final int CHUNK_DONE = 1;
  static final int CHUNK_NONE = 0;
  static final int CHUNK_OFFSET_DATA = 1;
  static final int CHUNK_OFFSET_HOLE = 2;
  static final int CHUNK_BLOCK_STATUS = 5;
  static final int CHUNK_ERROR = 32769;
  static final int CHUNK_ERROR_OFFSET = 32770;

  static final int STATE_HOLE = 1;
  static final int STATE_ZERO = 2;

  static final int ERROR_NOT_PERMITTED = 1;
  static final int ERROR_INPUT_OUTPUT = 5;
  static final int ERROR_INVALID = 22;
  static final int ERROR_NO_SPACE = 28;
  static final int ERROR_UNSUPPORTED = 95;
  static final int ERROR_SHUTDOWN = 108;

  static final String BASE_ALLOCATION = "base:allocation";

  static final int REQUEST_BYTES = 28;
  static final int SIMPLE_REPLY_BYTES = 16;
  static final int CHUNK_HEADER_BYTES = 20;
  static final int MAX_NAME_BYTES = 4096;
  static final int MAX_OPTION_BYTES = 64 << 10;
  static final int MAX_PAYLOAD_BYTES = 32 << 20;

  private NbdProtocol() {}
}
