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

  /** What is seldom asked for: apart, so that what runs of a block is in few lines of the cache. */
  private static final class Origin {
    final long physical;
    final long contentKey;

    /** Where each step begins, in bytes from the block's start. */
    final byte[] offsets;

    /** How many instructions come before each step. */
    final byte[] counts;

    final byte[] crossingBytes;
    long expected;
    int offerInterval = Integer.MAX_VALUE;

    Origin(long physical, long contentKey, byte[] offsets, byte[] counts, byte[] crossingBytes) {
      this.physical = physical;
      this.contentKey = contentKey;
      this.offsets = offsets;
      this.counts = counts;
      this.crossingBytes = crossingBytes;
    }
  }

  /** So many steps are in the block itself. */
  static final int NEAR = 6;

  private static final Step[] NO_STEPS = {};

  /** Where a block has fewer steps than {@link #NEAR}; never run. */
  private static final Step NONE =
      new Step() {
        @Override
        void run(InterpretedCpu cpu) {
          throw new IllegalStateException("a block has no such step");
        }
      };

  private final Origin origin;

  /** The first steps, whose references are loaded with the block. */
  Step step0, step1, step2, step3, step4, step5;

  /** The steps behind those. */
  final Step[] further;

  /** What runs instead of the steps, once there is something. */
  volatile @org.jspecify.annotations.Nullable CompiledCode compiled;

  /** Runs so far as steps, and what a {@link CodeProfile} added. */
  int heat;

  /** When {@link #heat} comes to this, the block is offered to be compiled. */
  int offerAt = Integer.MAX_VALUE;

  final short pageOffset;
  private final byte lengthBytes;
  private final byte instructionCount;
  final byte stepCount;
  private final byte mode;

  /** Whether it is an instruction that reaches into the next page. */
  final boolean crossing;

  private volatile boolean current = true;

  /**
   * @param physical guest-physical address of the first byte
   * @param length in bytes
   * @param instructions how many the steps are
   * @param offsets where each step begins, in bytes from the block's start
   * @param counts how many instructions come before each step
   * @param crossingBytes those of an instruction that are in the next page; else none
   * @param contentKey its {@link CodeKey}; 0 for what is decoded alone
   */
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
    this.origin = new Origin(physical, contentKey, offsets, counts, crossingBytes);
    this.pageOffset = (short) (physical & 4095);
    this.mode = (byte) key;
    this.stepCount = (byte) steps.length;
    this.step0 = steps[0];
    this.step1 = steps.length > 1 ? steps[1] : NONE;
    this.step2 = steps.length > 2 ? steps[2] : NONE;
    this.step3 = steps.length > 3 ? steps[3] : NONE;
    this.step4 = steps.length > 4 ? steps[4] : NONE;
    this.step5 = steps.length > 5 ? steps[5] : NONE;
    this.further = steps.length > NEAR ? Arrays.copyOfRange(steps, NEAR, steps.length) : NO_STEPS;
    this.instructionCount = (byte) instructions;
    this.lengthBytes = (byte) length;
    this.crossing = crossingBytes.length != 0;
  }

  /** A block of one step that is one instruction. */
  static Block single(long physical, int key, Step step, int length, byte[] crossingBytes) {
    return new Block(
        physical, key, new Step[] {step}, 1, new byte[1], new byte[1], length, crossingBytes, 0);
  }

  /** Guest-physical address of the first byte. */
  long physical() {
    return origin.physical;
  }

  int key() {
    return mode;
  }

  /** Length in bytes. */
  int length() {
    return lengthBytes & 0xFF;
  }

  /** How many instructions the steps are. */
  int instructions() {
    return instructionCount;
  }

  /** For an instruction that crosses into the next page, its bytes there; else empty. */
  byte[] crossingBytes() {
    return origin.crossingBytes;
  }

  /** Its {@link CodeKey}; 0 for what is decoded alone. */
  long contentKey() {
    return origin.contentKey;
  }

  /** What a {@link CodeProfile} knows of it. */
  long expected() {
    return origin.expected;
  }

  /** Bytes from the block's start to a step. */
  int offset(int step) {
    return origin.offsets[step] & 0xFF;
  }

  int instructionsBefore(int step) {
    return origin.counts[step];
  }

  /** How many steps from the start hold at most so many instructions, fewer than the block has. */
  int stepsWithin(int budget) {
    int step = stepCount - 1;
    while (origin.counts[step] > budget) {
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
    step0 = STOP;
    step1 = STOP;
    step2 = STOP;
    step3 = STOP;
    step4 = STOP;
    step5 = STOP;
    Arrays.fill(further, STOP);
  }

  /** Takes up what earlier runs tell of it. */
  void learned(CodeProfile profile) {
    heat = profile.initialHeat(origin.contentKey);
    offerAt = heat + profile.runsLeft(origin.contentKey);
    origin.expected = profile.instructions(origin.contentKey);
  }

  /** Lets the block be offered when it has run so often. */
  void offerAfter(int runs) {
    origin.offerInterval = runs;
    offerAt = runs;
  }

  /** Lets the block be offered when it has run as often again. */
  void offerAgain() {
    int interval = origin.offerInterval;
    offerAt = heat > Integer.MAX_VALUE - interval ? Integer.MAX_VALUE : heat + interval;
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
