package io.anillo.vmm.x86.interpret;

import java.util.Arrays;

/**
 * A run of decoded instructions in one page, ended by a transfer of control, the page's end, or a
 * length limit.
 */
final class Block {
  /** Stands in every step of a block whose code was overwritten. */
  private static final Step STOP =
      new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          throw BlockStop.INSTANCE;
        }
      };

  /** Guest-physical address of the first byte. */
  final long physical;

  final int pageOffset;
  final int key;
  final Step[] steps;

  /** How many instructions the steps are. */
  final int instructions;

  /** Where each step begins, in bytes from the block's start. */
  private final byte[] offsets;

  /** How many instructions come before each step. */
  private final byte[] counts;

  /** Length in bytes. */
  final int length;

  /** For an instruction that crosses into the next page, its bytes; else empty. */
  final byte[] crossingBytes;

  /** Its {@link CodeKey}; 0 for what is decoded alone. */
  final long contentKey;

  /** Runs so far as steps, and what a {@link CodeProfile} added. */
  int heat;

  /** What a {@link CodeProfile} knows of it. */
  long expected;

  /** When {@link #heat} comes to this, the block is offered to be compiled. */
  int offerAt = Integer.MAX_VALUE;

  /** Runs from one offer to the next. */
  private int offerInterval = Integer.MAX_VALUE;

  /** What runs instead of the steps, once there is something. */
  volatile @org.jspecify.annotations.Nullable CompiledCode compiled;

  private volatile boolean current = true;

  Block(
      long physical,
      int key,
      Step[] steps,
      int instructions,
      byte[] offsets,
      byte[] counts,
      int length,
      byte[] crossingBytes,
      long contentKey) {
    this.physical = physical;
    this.pageOffset = (int) physical & 4095;
    this.key = key;
    this.steps = steps;
    this.instructions = instructions;
    this.offsets = offsets;
    this.counts = counts;
    this.length = length;
    this.crossingBytes = crossingBytes;
    this.contentKey = contentKey;
  }

  /** A block of one step that is one instruction. */
  static Block single(long physical, int key, Step step, int length, byte[] crossingBytes) {
    return new Block(
        physical, key, new Step[] {step}, 1, new byte[1], new byte[1], length, crossingBytes, 0);
  }

  /** Bytes from the block's start to a step. */
  int offset(int step) {
    return offsets[step] & 0xFF;
  }

  int instructionsBefore(int step) {
    return counts[step];
  }

  /** How many steps from the start hold at most so many instructions, fewer than the block has. */
  int stepsWithin(int budget) {
    int step = steps.length - 1;
    while (counts[step] > budget) {
      step--;
    }
    return step;
  }

  /**
   * The code was overwritten: a processor inside the block leaves it before its next instruction.
   */
  void invalidate() {
    current = false;
    CompiledCode code = compiled;
    if (code != null) {
      code.invalidate();
    }
    Arrays.fill(steps, STOP);
  }

  /** Takes up what earlier runs tell of it. */
  void learned(CodeProfile profile) {
    heat = profile.initialHeat(contentKey);
    offerAt = heat + profile.runsLeft(contentKey);
    expected = profile.instructions(contentKey);
  }

  /** Lets the block be offered when it has run so often. */
  void offerAfter(int runs) {
    offerInterval = runs;
    offerAt = runs;
  }

  /** Lets the block be offered when it has run as often again. */
  void offerAgain() {
    offerAt = heat > Integer.MAX_VALUE - offerInterval ? Integer.MAX_VALUE : heat + offerInterval;
  }

  /** Under the lock of the {@link CodeCache}. */
  void install(CompiledCode code) {
    CompiledCode before = compiled;
    if (before != null) {
      before.unlinkIncoming();
    }
    compiled = code;
  }

  void uninstall(CompiledCode code) {
    if (compiled == code) {
      compiled = null;
      offerAgain();
    }
  }

  /** Whether the code is still what it was. */
  boolean current() {
    return current;
  }

  /** Thrown to leave a block that was overwritten while it ran. */
  static final class BlockStop extends RuntimeException {
    private static final long serialVersionUID = 1L;
    static final BlockStop INSTANCE = new BlockStop();

    private BlockStop() {
      super(null, null, false, false);
    }
  }
}
