package io.anillo.vmm.machine;

/** A processor that can be asked to return from guest code. */
@FunctionalInterface
public interface Stoppable {

  /**
   * Asks the processor to stop at its next instruction boundary. Sticky: asked before it begins to
   * run, it stops before its first instruction. Called from any thread; must neither block nor take
   * locks of the board.
   */
  void stopAtBoundary();
}
