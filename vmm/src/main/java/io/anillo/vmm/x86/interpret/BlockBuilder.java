package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Makes blocks from the bytes of a page. One for each processor. */
final class BlockBuilder {
  private static final int MAXIMUM_INSTRUCTIONS = 48;
  private static final int MAXIMUM_LENGTH = 15;
  private static final byte[] NO_BYTES = {};

  private final CodeBytes code;
  private final Decoder decoder = new Decoder();
  private final StepPool known = new StepPool();
  private final byte[] buffer = new byte[MAXIMUM_INSTRUCTIONS * MAXIMUM_LENGTH];
  private final byte[] crossing = new byte[2 * MAXIMUM_LENGTH];

  BlockBuilder(CodeBytes code) {
    this.code = code;
  }

  /** Where the bytes of code come from. */
  interface CodeBytes {
    /** Reads bytes of one page. */
    void read(long physical, byte[] destination, int at, int length);
  }

  /** Gives the bytes behind the page's end, in the order in which they are executed. */
  interface NextPage {
    /**
     * Guest-physical address of the first byte of the next page; may fault as a fetch from there
     * does.
     */
    long physical();
  }

  /**
   * Decodes a block.
   *
   * @param physical guest-physical address of the first byte
   * @param key what {@link InterpretedCpu#blockKey} gives
   * @param single whether to stop after one instruction
   * @param nextPage asked only when the first instruction does not end in the page
   */
  Block build(long physical, int key, boolean single, NextPage nextPage) {
    CodeSize codeSize = InterpretedCpu.codeSizeOf(key);
    int stackBytes = InterpretedCpu.stackBytesOf(key);
    int pageOffset = (int) physical & 4095;
    int wanted = single ? MAXIMUM_LENGTH : buffer.length;
    int available = Math.min(4096 - pageOffset, wanted);
    code.read(physical, buffer, 0, available);
    List<Step> steps = new ArrayList<>();
    byte[] offsets = new byte[MAXIMUM_INSTRUCTIONS];
    byte[] counts = new byte[MAXIMUM_INSTRUCTIONS];
    CodeKey content = new CodeKey(pageOffset);
    int offset = 0;
    int instructions = 0;
    int limit = single ? 1 : MAXIMUM_INSTRUCTIONS;
    while (instructions < limit && offset < 240) {
      Instruction instruction;
      try {
        instruction = decoder.decode(buffer, offset, available, codeSize);
      } catch (DecodeException e) {
        if (instructions != 0) {
          break; // the next block begins with it
        }
        return e == DecodeException.TRUNCATED && pageOffset + available == 4096
            ? buildCrossing(physical, key, codeSize, stackBytes, nextPage)
            : failing(e, physical, key);
      }
      Step step = known.step(buffer, new Operands(instruction, codeSize, offset, stackBytes));
      Step fused = steps.isEmpty() ? null : known.fused(steps.getLast(), step);
      if (fused != null) {
        steps.set(steps.size() - 1, fused);
      } else {
        offsets[steps.size()] = (byte) offset;
        counts[steps.size()] = (byte) instructions;
        steps.add(step);
      }
      content.add(instruction);
      instructions++;
      offset += instruction.length();
      if (step instanceof Step.Last) {
        break;
      }
    }
    return new Block(
        physical,
        key,
        steps.toArray(Step[]::new),
        instructions,
        Arrays.copyOf(offsets, steps.size()),
        Arrays.copyOf(counts, steps.size()),
        offset,
        NO_BYTES,
        content.value());
  }

  private Block buildCrossing(
      long physical, int key, CodeSize codeSize, int stackBytes, NextPage nextPage) {
    int here = 4096 - ((int) physical & 4095);
    code.read(physical, crossing, 0, here);
    code.read(nextPage.physical(), crossing, here, MAXIMUM_LENGTH);
    try {
      Instruction instruction = decoder.decode(crossing, 0, here + MAXIMUM_LENGTH, codeSize);
      Step step = StepCompiler.compile(new Operands(instruction, codeSize, 0, stackBytes));
      byte[] bytes = new byte[instruction.length() - here];
      System.arraycopy(crossing, here, bytes, 0, bytes.length);
      return Block.single(physical, key, step, instruction.length(), bytes);
    } catch (DecodeException e) {
      return failing(e, physical, key);
    }
  }

  private static Block failing(DecodeException reason, long physical, int key) {
    boolean tooLong = reason == DecodeException.TOO_LONG;
    Step step =
        new Step.Last() {
          @Override
          void run(InterpretedCpu cpu) {
            throw tooLong ? cpu.generalProtection(0) : cpu.invalidOpcode();
          }
        };
    return Block.single(physical, key, step, 1, NO_BYTES);
  }
}
