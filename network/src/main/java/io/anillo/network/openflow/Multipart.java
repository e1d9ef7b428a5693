package io.anillo.network.openflow;

/**
 * Numbers of multipart types, and replies cut into messages of legal size (OpenFlow 1.3.5 §7.3.5).
 */
public final class Multipart {
  public static final int DESCRIPTION = 0;
  public static final int FLOW = 1;
  public static final int AGGREGATE = 2;
  public static final int TABLE = 3;
  public static final int PORT_STATISTICS = 4;
  public static final int QUEUE = 5;
  public static final int GROUP = 6;
  public static final int GROUP_DESCRIPTION = 7;
  public static final int GROUP_FEATURES = 8;
  public static final int METER = 9;
  public static final int METER_CONFIGURATION = 10;
  public static final int METER_FEATURES = 11;
  public static final int TABLE_FEATURES = 12;
  public static final int PORT_DESCRIPTION = 13;

  private static final int FULL = 56_000;

  /** Sends finished messages. */
  @FunctionalInterface
  public interface Sender {
    void send(Message message) throws java.io.IOException;
  }

  private final Sender sender;
  private final int type;
  private final int transaction;
  private WireWriter writer;

  public Multipart(Sender sender, int type, int transaction) {
    this.sender = sender;
    this.type = type;
    this.transaction = transaction;
    this.writer = begin();
  }

  private WireWriter begin() {
    return new WireWriter().u16(type).u16(0).zero(4);
  }

  /** Where the next entry is to be written; entries are never split. */
  public WireWriter entry() throws java.io.IOException {
    if (writer.length() > FULL) {
      writer.patchU16(2, 1);
      sender.send(new Message(Message.MULTIPART_REPLY, transaction, writer));
      writer = begin();
    }
    return writer;
  }

  public void finish() throws java.io.IOException {
    sender.send(new Message(Message.MULTIPART_REPLY, transaction, writer));
  }

  /** A request without entries to choose. */
  public static Message request(int transaction, int type, byte[] body) {
    return new Message(
        Message.MULTIPART_REQUEST,
        transaction,
        new WireWriter().u16(type).u16(0).zero(4).bytes(body));
  }
}
