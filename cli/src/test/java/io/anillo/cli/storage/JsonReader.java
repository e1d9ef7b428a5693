package io.anillo.cli.storage;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads the JSON that the commands print: maps, lists, strings, whole numbers, booleans. */
final class JsonReader {
  private final String text;
  private int at;

  private JsonReader(String text) {
    this.text = text;
  }

  static Object read(String text) {
    JsonReader reader = new JsonReader(text.strip());
    Object value = reader.value();
    if (reader.at != reader.text.length()) {
      throw new IllegalArgumentException("more text behind the value, at " + reader.at);
    }
    return value;
  }

  private char next() {
    while (Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    return text.charAt(at);
  }

  private boolean take(char wanted) {
    boolean here = next() == wanted;
    at += here ? 1 : 0;
    return here;
  }

  private void require(char wanted) {
    if (!take(wanted)) {
      throw new IllegalArgumentException("no " + wanted + " at " + at + " of " + text);
    }
  }

  private Object value() {
    return switch (next()) {
      case '{' -> map();
      case '[' -> list();
      case '"' -> string();
      default -> word();
    };
  }

  private Map<String, Object> map() {
    Map<String, Object> map = new LinkedHashMap<>();
    require('{');
    while (!take('}')) {
      if (!map.isEmpty()) {
        require(',');
      }
      next();
      String name = string();
      require(':');
      map.put(name, value());
    }
    return map;
  }

  private List<Object> list() {
    List<Object> list = new ArrayList<>();
    require('[');
    while (!take(']')) {
      if (!list.isEmpty()) {
        require(',');
      }
      list.add(value());
    }
    return list;
  }

  private String string() {
    require('"');
    int end = text.indexOf('"', at);
    String string = text.substring(at, end);
    if (string.contains("\\")) {
      throw new IllegalArgumentException("escapes are not expected: " + string);
    }
    at = end + 1;
    return string;
  }

  private Object word() {
    int start = at;
    while (at < text.length() && "-0123456789truefals".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    String word = text.substring(start, at);
    return word.equals("true") || word.equals("false")
        ? Boolean.valueOf(word)
        : (Object) Long.valueOf(word);
  }
}
