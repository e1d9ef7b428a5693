package io.anillo.network.service;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;

/** What a command asks the service for: an operation with named values. One line of JSON. */
public record Request(String operation, Map<String, String> values, List<String> words) {
  public Request {
    Objects.requireNonNull(operation, "an operation");
    values = Map.copyOf(values);
    words = List.copyOf(words);
  }

  public static Request of(String operation) {
    return new Request(operation, Map.of(), List.of());
  }

  /** Adds a value; an empty one is left out. */
  public Request with(String name, String value) {
    if (value.isEmpty()) {
      return this;
    }
    Map<String, String> more = new TreeMap<>(values);
    more.put(name, value);
    return new Request(operation, more, words);
  }

  public Request withWords(List<String> added) {
    return new Request(operation, values, added);
  }

  Optional<String> find(String name) {
    return Optional.ofNullable(values.get(name));
  }

  String need(String name) {
    return find(name)
        .orElseThrow(() -> new IllegalArgumentException(operation + " needs a value for " + name));
  }

  /** What the service says: a text for people, or one sentence about what is wrong. */
  public record Reply(boolean done, String text) {}
}
