package io.anillo.vmm.x86.vector;

/** Something that executes cases: a real processor, or one of the engines. */
interface VectorTarget {
  /** Gives the data pages for the cases that follow. */
  void useImage(byte[] image);

  VectorOutcome run(VectorCase vectorCase);
}
