package io.anillo.vmm.device.interrupt;

import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;

/**
 * One 8259A (Intel 8259A data sheet, 231468): eight inputs, priorities, masks, and the command
 * words.
 */
final class Pic8259 {
  private final int edgeLevelMask;
  private final boolean primary;

  private int requests;
  private int inService;
  private int masks;
  private int inputs;
  private int edgeLevelControl;
  private int vectorBase;
  private int lowestPriority;
  private int initializationStep;
  private boolean needsWord4;
  private boolean single;
  private boolean levelTriggered;
  private boolean automaticEnd;
  private boolean rotateOnAutomaticEnd;
  private boolean specialMask;
  private boolean specialFullyNested;
  private boolean readInService;
  private boolean poll;

  /**
   * @param primary whether it is the first of the pair, with the second at its input 2
   * @param edgeLevelMask inputs that the edge/level control register can switch to level
   */
  Pic8259(boolean primary, int edgeLevelMask) {
    this.primary = primary;
    this.edgeLevelMask = edgeLevelMask;
  }

  void reset() {
    initialize();
    edgeLevelControl = 0;
    vectorBase = 0;
    inputs = 0;
    requests = 0;
    initializationStep = 0;
    levelTriggered = false;
    automaticEnd = false;
    specialFullyNested = false;
    // Nobody wants interrupts before the operating system has set the vectors up.
    masks = 0xFF;
  }

  /** What ICW1 does. */
  private void initialize() {
    requests = 0;
    inService = 0;
    masks = 0;
    lowestPriority = 7;
    rotateOnAutomaticEnd = false;
    specialMask = false;
    readInService = false;
    poll = false;
  }

  private int levelInputs() {
    return levelTriggered ? 0xFF : edgeLevelControl;
  }

  void setInput(int input, boolean asserted) {
    int bit = 1 << input;
    if ((levelInputs() & bit) != 0) {
      requests = asserted ? requests | bit : requests & ~bit;
    } else if (asserted && (inputs & bit) == 0) {
      requests |= bit;
    } else if (!asserted && primary && input == 2) {
      // The second chip took its request back before it was acknowledged.
      requests &= ~bit;
    }
    inputs = asserted ? inputs | bit : inputs & ~bit;
  }

  /** Distance of the first set bit from the highest priority, or 8. */
  private int priority(int bits) {
    if (bits == 0) {
      return 8;
    }
    int distance = 0;
    while ((bits & 1 << (lowestPriority + 1 + distance & 7)) == 0) {
      distance++;
    }
    return distance;
  }

  /** The input to be served next, or -1. */
  int pendingInput() {
    int wanted = priority(requests & ~masks);
    if (wanted == 8) {
      return -1;
    }
    int served = inService;
    if (specialMask) {
      served &= ~masks;
    }
    if (specialFullyNested && primary) {
      served &= ~4;
    }
    return wanted < priority(served) ? lowestPriority + 1 + wanted & 7 : -1;
  }

  /** The acknowledge cycle for one input. */
  void accept(int input) {
    int bit = 1 << input;
    if (automaticEnd) {
      if (rotateOnAutomaticEnd) {
        lowestPriority = input;
      }
    } else {
      inService |= bit;
    }
    if ((levelInputs() & bit) == 0) {
      requests &= ~bit;
    }
  }

  int vector(int input) {
    return vectorBase | input;
  }

  int readCommand() {
    if (poll) {
      return pollNow();
    }
    return readInService ? inService : requests;
  }

  int readData() {
    return poll ? pollNow() : masks;
  }

  private int pollNow() {
    poll = false;
    int input = pendingInput();
    if (input < 0) {
      return 0;
    }
    accept(input);
    return 0x80 | input;
  }

  void writeCommand(int value) {
    if ((value & 0x10) != 0) {
      initialize();
      levelTriggered = (value & 8) != 0;
      single = (value & 2) != 0;
      needsWord4 = (value & 1) != 0;
      automaticEnd = false;
      specialFullyNested = false;
      initializationStep = 2;
      requests = inputs & levelInputs();
    } else if ((value & 8) != 0) {
      poll = (value & 4) != 0;
      if ((value & 2) != 0) {
        readInService = (value & 1) != 0;
      }
      if ((value & 0x40) != 0) {
        specialMask = (value & 0x20) != 0;
      }
    } else {
      endOrRotate(value >> 5, value & 7);
    }
  }

  private void endOrRotate(int command, int input) {
    switch (command) {
      case 0 -> rotateOnAutomaticEnd = false;
      case 4 -> rotateOnAutomaticEnd = true;
      case 1, 5 -> {
        int served = priority(inService);
        if (served < 8) {
          int ended = lowestPriority + 1 + served & 7;
          inService &= ~(1 << ended);
          if (command == 5) {
            lowestPriority = ended;
          }
        }
      }
      case 3 -> inService &= ~(1 << input);
      case 6 -> lowestPriority = input;
      case 7 -> {
        inService &= ~(1 << input);
        lowestPriority = input;
      }
      default -> {
        // Command 2 is "no operation".
      }
    }
  }

  void writeData(int value) {
    switch (initializationStep) {
      case 2 -> {
        vectorBase = value & 0xF8;
        initializationStep = single ? needsWord4 ? 4 : 0 : 3;
      }
      case 3 -> initializationStep = needsWord4 ? 4 : 0; // the cascade's wiring is fixed
      case 4 -> {
        specialFullyNested = (value & 0x10) != 0;
        automaticEnd = (value & 2) != 0;
        initializationStep = 0;
      }
      default -> masks = value;
    }
  }

  int edgeLevelControl() {
    return edgeLevelControl;
  }

  void setEdgeLevelControl(int value) {
    edgeLevelControl = value & edgeLevelMask;
  }

  boolean requested(int input) {
    return (requests & 1 << input) != 0;
  }

  int masks() {
    return masks;
  }

  void save(StateWriter out) {
    out.putInts(
        new int[] {
          requests,
          inService,
          masks,
          inputs,
          edgeLevelControl,
          vectorBase,
          lowestPriority,
          initializationStep
        });
    out.putBoolean(needsWord4)
        .putBoolean(single)
        .putBoolean(levelTriggered)
        .putBoolean(automaticEnd);
    out.putBoolean(rotateOnAutomaticEnd).putBoolean(specialMask).putBoolean(specialFullyNested);
    out.putBoolean(readInService).putBoolean(poll);
  }

  void restore(StateReader in) {
    int[] values = new int[8];
    in.getInts(values);
    requests = values[0] & 0xFF;
    inService = values[1] & 0xFF;
    masks = values[2] & 0xFF;
    inputs = values[3] & 0xFF;
    edgeLevelControl = values[4] & edgeLevelMask;
    vectorBase = values[5] & 0xF8;
    lowestPriority = values[6] & 7;
    initializationStep = values[7] & 7;
    needsWord4 = in.getBoolean();
    single = in.getBoolean();
    levelTriggered = in.getBoolean();
    automaticEnd = in.getBoolean();
    rotateOnAutomaticEnd = in.getBoolean();
    specialMask = in.getBoolean();
    specialFullyNested = in.getBoolean();
    readInService = in.getBoolean();
    poll = in.getBoolean();
  }
}
