package io.anillo.network.openflow;

/**
 * One OpenFlow message: the header's type and transaction, and the body after the header.
 *
 * @param version 4 for OpenFlow 1.3
 */
public record Message(int version, int type, int transaction, byte[] body) {
  public static final int VERSION = 4;

  public static final int HELLO = 0;
  public static final int ERROR = 1;
  public static final int ECHO_REQUEST = 2;
  public static final int ECHO_REPLY = 3;
  public static final int EXPERIMENTER = 4;
  public static final int FEATURES_REQUEST = 5;
  public static final int FEATURES_REPLY = 6;
  public static final int GET_CONFIG_REQUEST = 7;
  public static final int GET_CONFIG_REPLY = 8;
  public static final int SET_CONFIG = 9;
  public static final int PACKET_IN = 10;
  public static final int FLOW_REMOVED = 11;
  public static final int PORT_STATUS = 12;
  public static final int PACKET_OUT = 13;
  public static final int FLOW_MOD = 14;
  public static final int GROUP_MOD = 15;
  public static final int PORT_MOD = 16;
  public static final int TABLE_MOD = 17;
  public static final int MULTIPART_REQUEST = 18;
  public static final int MULTIPART_REPLY = 19;
  public static final int BARRIER_REQUEST = 20;
  public static final int BARRIER_REPLY = 21;
  public static final int QUEUE_CONFIG_REQUEST = 22;
  public static final int QUEUE_CONFIG_REPLY = 23;
  public static final int ROLE_REQUEST = 24;
  public static final int ROLE_REPLY = 25;
  public static final int GET_ASYNC_REQUEST = 26;
  public static final int GET_ASYNC_REPLY = 27;
  public static final int SET_ASYNC = 28;
  public static final int METER_MOD = 29;

  public Message(int type, int transaction, byte[] body) {
    this(VERSION, type, transaction, body);
  }

  public Message(int type, int transaction, WireWriter body) {
    this(VERSION, type, transaction, body.toByteArray());
  }

  /** The message with its header, as it goes out. */
  public byte[] encode() {
    byte[] whole = new byte[8 + body.length];
    whole[0] = (byte) version;
    whole[1] = (byte) type;
    io.anillo.network.packet.Bytes.putShort(whole, 2, whole.length);
    io.anillo.network.packet.Bytes.putInt(whole, 4, transaction);
    System.arraycopy(body, 0, whole, 8, body.length);
    return whole;
  }

  public WireReader reader() {
    return new WireReader(body);
  }

  /** Hello with the version bitmap that names OpenFlow 1.3 alone (OpenFlow 1.3.5 §7.5.1). */
  public static Message hello(int transaction) {
    return new Message(HELLO, transaction, new WireWriter().u16(1).u16(8).u32(1 << VERSION));
  }

  /** An error about {@code cause}, quoting as much of it as §7.4.4 asks for. */
  public static Message error(Message cause, int type, int code) {
    byte[] quoted = cause.encode();
    WireWriter body = new WireWriter().u16(type).u16(code);
    body.bytes(quoted, 0, Math.min(quoted.length, 64));
    return new Message(ERROR, cause.transaction, body);
  }
}
