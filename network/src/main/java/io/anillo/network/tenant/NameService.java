package io.anillo.network.tenant;

import io.anillo.network.packet.Bytes;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;

/**
 * Answers a tenant's questions for the addresses of its ports (RFC 1035). Questions are hostile
 * input: what is malformed gets no answer.
 */
final class NameService {
  private static final int HEADER = 12;
  private static final int TYPE_A = 1;
  private static final int TYPE_AAAA = 28;
  private static final int CLASS_INTERNET = 1;
  private static final int LIFETIME_SECONDS = 30;
  private static final int RESPONSE = 0x8000;
  private static final int AUTHORITATIVE = 0x0400;
  private static final int RECURSION_DESIRED = 0x0100;
  private static final int RECURSION_AVAILABLE = 0x0080;
  private static final int NO_SUCH_NAME = 3;
  private static final int REFUSED = 5;
  private static final String SUFFIX = ".internal";

  /** What is asked for: a name in lower case without its last dot. */
  record Question(String name, int type, int end) {}

  /** What a name stands for. */
  record Addresses(int four, Optional<Ipv6> six) {}

  private NameService() {}

  /** The one question of a query; empty when it is none. */
  static Optional<Question> question(byte[] query) {
    if (query.length < HEADER
        || (Bytes.getShort(query, 2) & 0xf800) != 0
        || Bytes.getShort(query, 4) != 1) {
      return Optional.empty();
    }
    StringBuilder name = new StringBuilder();
    int at = HEADER;
    while (at < query.length && query[at] != 0) {
      int length = Bytes.getByte(query, at);
      if (length > 63 || at + 1 + length >= query.length || name.length() > 253) {
        return Optional.empty();
      }
      for (int i = 1; i <= length; i++) {
        name.append((char) Bytes.getByte(query, at + i));
      }
      name.append('.');
      at += 1 + length;
    }
    if (query.length - at < 5 || Bytes.getShort(query, at + 3) != CLASS_INTERNET) {
      return Optional.empty();
    }
    String text = name.toString().toLowerCase(Locale.ROOT);
    String whole = text.endsWith(".") ? text.substring(0, text.length() - 1) : text;
    return Optional.of(new Question(whole, Bytes.getShort(query, at + 1), at + 5));
  }

  /** Whether a name is one that only this service may answer for. */
  static boolean ours(Question question) {
    return question.name().endsWith(SUFFIX) || !question.name().contains(".");
  }

  /**
   * The answer to a question about a port.
   *
   * @param find the addresses of a name, empty when there is none
   */
  static byte[] answer(
      byte[] query, Question question, Function<String, Optional<Addresses>> find) {
    Optional<Addresses> found = find.apply(question.name());
    if (found.isEmpty()) {
      return reply(query, question, AUTHORITATIVE | NO_SUCH_NAME, 0);
    }
    Optional<Ipv6> six = found.get().six();
    boolean wide = question.type() == TYPE_AAAA;
    if (question.type() != TYPE_A && (!wide || six.isEmpty())) {
      return reply(query, question, AUTHORITATIVE, 0);
    }
    int length = wide ? 16 : 4;
    byte[] reply = reply(query, question, AUTHORITATIVE, 12 + length);
    int at = question.end();
    Bytes.putShort(reply, 6, 1);
    Bytes.putShort(reply, at, 0xc000 | HEADER);
    Bytes.putShort(reply, at + 2, question.type());
    Bytes.putShort(reply, at + 4, CLASS_INTERNET);
    Bytes.putInt(reply, at + 6, LIFETIME_SECONDS);
    Bytes.putShort(reply, at + 10, length);
    if (wide) {
      Bytes.putLong(reply, at + 12, six.get().high());
      Bytes.putLong(reply, at + 20, six.get().low());
    } else {
      Bytes.putInt(reply, at + 12, found.get().four());
    }
    return reply;
  }

  static byte[] refuse(byte[] query, Question question) {
    return reply(query, question, REFUSED, 0);
  }

  private static byte[] reply(byte[] query, Question question, int flags, int room) {
    byte[] reply = Arrays.copyOf(query, question.end() + room);
    int wanted = Bytes.getShort(query, 2) & RECURSION_DESIRED;
    Bytes.putShort(reply, 2, RESPONSE | RECURSION_AVAILABLE | wanted | flags);
    Bytes.putInt(reply, 6, 0);
    Bytes.putShort(reply, 10, 0);
    if (room > 0) {
      Arrays.fill(reply, question.end(), reply.length, (byte) 0);
    }
    return reply;
  }
}
