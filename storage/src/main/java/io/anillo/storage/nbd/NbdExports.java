package io.anillo.storage.nbd;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;

/** The devices that a server offers, changed while it runs. The empty name means the only one. */
public final class NbdExports {
  private final Map<String, NbdExport> exports = new ConcurrentSkipListMap<>();

  private final Map<String, Integer> users = new ConcurrentHashMap<>();

  public void put(NbdExport export) {
    exports.put(export.name(), export);
  }

  public void remove(String name) {
    exports.remove(name);
  }

  public Optional<NbdExport> find(String name) {
    NbdExport export = exports.get(name);
    if (export == null && name.isEmpty() && exports.size() == 1) {
      return exports.values().stream().findFirst();
    }
    return Optional.ofNullable(export);
  }

  /** How many connections use an export now. */
  public int users(String name) {
    return users.getOrDefault(name, 0);
  }

  void entered(NbdExport export) {
    users.merge(export.name(), 1, Integer::sum);
  }

  void left(NbdExport export) {
    users.merge(export.name(), -1, Integer::sum);
  }

  public List<NbdExport> all() {
    return List.copyOf(exports.values());
  }
}
