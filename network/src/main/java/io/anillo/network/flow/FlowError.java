package io.anillo.network.flow;

/**
 * A request that the switch refuses, with the type and code that OpenFlow 1.3.5 §7.4.4 gives the
 * reason.
 */
public final class FlowError extends Exception {
  private static final long serialVersionUID = 1L;

  public static final int HELLO_FAILED = 0;
  public static final int BAD_REQUEST = 1;
  public static final int BAD_ACTION = 2;
  public static final int BAD_INSTRUCTION = 3;
  public static final int BAD_MATCH = 4;
  public static final int FLOW_MOD_FAILED = 5;
  public static final int GROUP_MOD_FAILED = 6;
  public static final int PORT_MOD_FAILED = 7;
  public static final int TABLE_MOD_FAILED = 8;
  public static final int QUEUE_OP_FAILED = 9;
  public static final int SWITCH_CONFIG_FAILED = 10;
  public static final int ROLE_REQUEST_FAILED = 11;
  public static final int METER_MOD_FAILED = 12;
  public static final int TABLE_FEATURES_FAILED = 13;

  private final int type;
  private final int code;

  public FlowError(int type, int code, String message) {
    super(message, null, false, false);
    this.type = type;
    this.code = code;
  }

  public int type() {
    return type;
  }

  public int code() {
    return code;
  }
}
