package io.anillo.cli.storage;

import java.lang.reflect.RecordComponent;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Records as maps of their components, all the way down, for output as JSON. */
final class RecordTree {
  private RecordTree() {}

  static Object of(Object value) {
    return switch (value) {
      case Record record -> components(record);
      case List<?> list -> list.stream().map(RecordTree::of).toList();
      case Map<?, ?> map -> {
        Map<String, Object> tree = new LinkedHashMap<>();
        map.forEach((key, part) -> tree.put(String.valueOf(key), of(part)));
        yield tree;
      }
      default -> value;
    };
  }

  private static Map<String, Object> components(Record record) {
    Map<String, Object> tree = new LinkedHashMap<>();
    for (RecordComponent component : record.getClass().getRecordComponents()) {
      try {
        tree.put(component.getName(), of(component.getAccessor().invoke(record)));
      } catch (ReflectiveOperationException impossible) {
        throw new IllegalStateException("a public record cannot be read", impossible);
      }
    }
    return tree;
  }
}
