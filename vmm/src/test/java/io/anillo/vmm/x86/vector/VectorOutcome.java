package io.anillo.vmm.x86.vector;

import java.util.Map;
import java.util.TreeMap;

/** What a case became: everything its code can have changed, and the trap that ended it. */
final class VectorOutcome {
  /** Not an exception: the code did not end in time. */
  static final int TIMED_OUT = 255;

  int vector;
  long error;
  long cr2;
  long rip;
  long flags;
  int cs;
  int ss;
  long fsBase;
  long gsBase;
  final long[] general = new long[16];

  /** FXSAVE64 image. */
  byte[] floating = {};

  /** The 8-byte words of data that changed, by offset. */
  Map<Integer, Long> changes = new TreeMap<>();
}
