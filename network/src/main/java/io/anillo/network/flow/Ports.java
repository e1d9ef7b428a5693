package io.anillo.network.flow;

/** The reserved port numbers of OpenFlow 1.3.5 §7.2.1. */
public final class Ports {
  public static final int MAXIMUM = 0xffffff00;
  public static final int IN_PORT = 0xfffffff8;
  public static final int TABLE = 0xfffffff9;
  public static final int NORMAL = 0xfffffffa;
  public static final int FLOOD = 0xfffffffb;
  public static final int ALL = 0xfffffffc;
  public static final int CONTROLLER = 0xfffffffd;
  public static final int LOCAL = 0xfffffffe;
  public static final int ANY = 0xffffffff;

  /** Any group (§7.3.4.1). */
  public static final int ANY_GROUP = 0xffffffff;

  public static final int ALL_GROUPS = 0xfffffffc;
  public static final int MAXIMUM_GROUP = 0xffffff00;
  public static final int ALL_TABLES = 0xff;
  public static final int ALL_METERS = 0xffffffff;
  public static final int MAXIMUM_METER = 0xffff0000;
  public static final int ALL_QUEUES = 0xffffffff;

  private Ports() {}

  /** The name that OpenFlow's tools print. */
  public static String name(int port) {
    return switch (port) {
      case IN_PORT -> "IN_PORT";
      case TABLE -> "TABLE";
      case NORMAL -> "NORMAL";
      case FLOOD -> "FLOOD";
      case ALL -> "ALL";
      case CONTROLLER -> "CONTROLLER";
      case LOCAL -> "LOCAL";
      case ANY -> "ANY";
      default -> Integer.toUnsignedString(port);
    };
  }
}
