package io.anillo.cli;

import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Writes maps, lists, strings, numbers and booleans as JSON (RFC 8259), indented for people. */
public final class JsonText {
  private JsonText() {}

  public static String of(Object value) {
    StringBuilder text = new StringBuilder();
    write(value, "", text);
    return text.append('\n').toString();
  }

  private static void write(Object value, String indent, StringBuilder text) {
    switch (value) {
      case Map<?, ?> map -> {
        String inner = indent + "  ";
        text.append('{');
        Iterator<? extends Map.Entry<?, ?>> entries = map.entrySet().iterator();
        while (entries.hasNext()) {
          Map.Entry<?, ?> entry = entries.next();
          text.append('\n').append(inner);
          writeString(String.valueOf(entry.getKey()), text);
          text.append(": ");
          write(entry.getValue(), inner, text);
          text.append(entries.hasNext() ? "," : "\n" + indent);
        }
        text.append('}');
      }
      case List<?> list -> {
        text.append('[');
        for (int i = 0; i < list.size(); i++) {
          text.append(i == 0 ? "" : ", ");
          write(list.get(i), indent, text);
        }
        text.append(']');
      }
      case Double number when number.isNaN() || number.isInfinite() -> text.append("null");
      case Number number -> text.append(number);
      case Boolean flag -> text.append(flag);
      default -> writeString(value.toString(), text);
    }
  }

  private static void writeString(String value, StringBuilder text) {
    text.append('"');
    for (int i = 0; i < value.length(); i++) {
      char next = value.charAt(i);
      switch (next) {
        case '"' -> text.append("\\\"");
        case '\\' -> text.append("\\\\");
        case '\n' -> text.append("\\n");
        case '\t' -> text.append("\\t");
        default -> {
          if (next < 0x20) {
            text.append("\\u%04x".formatted((int) next));
          } else {
            text.append(next);
          }
        }
      }
    }
    text.append('"');
  }
}
