package io.anillo.storage.qcow2;

import java.util.ArrayList;
import java.util.List;

/** Host ranges that lose a reference once the tables without it are durable. */
final class PendingFrees {
  record Free(long hostOffset, long length) {}

  private List<Free> waiting = new ArrayList<>();

  void add(long hostOffset, long length) {
    waiting.add(new Free(hostOffset, length));
  }

  int size() {
    return waiting.size();
  }

  List<Free> take() {
    List<Free> taken = waiting;
    waiting = new ArrayList<>();
    return taken;
  }
}
