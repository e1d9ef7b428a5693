package io.anillo.storage.nbd;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;

/** The devices that a server offers, changed while it runs. The empty name means the only one. */
public final class NbdExports {
  private final Map<String, NbdExport> exports = new ConcurrentSkipListMap<>();

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

  public List<NbdExport> all() {
    return List.copyOf(exports.values());
  }
}
