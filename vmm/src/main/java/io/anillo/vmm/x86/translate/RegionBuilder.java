package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.DecodeException;
import io.anillo.vmm.x86.decode.Decoder;
import io.anillo.vmm.x86.decode.Instruction;
import io.anillo.vmm.x86.interpret.CodeHints;
import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Finds the code that belongs to an entry: what can be reached by jumps and calls with known
 * targets, the hottest first, as far as the processor has run it already and a limit allows.
 */
final class RegionBuilder {
  /** How far a region reaches. */
  enum Shape {
    /**
     * Without the code that is called, and up to where compiled code can be entered, unless that is
     * small: hardly anything is compiled twice.
     */
    PLAIN,
    /** With calls and their returns, whatever there is compiled already. */
    WIDE
  }

  /** {@link Frame#checkPage} has a bit for each page. */
  private static final int PAGES = 12;

  /** Compiled code of at most so many instructions is rather compiled again than called. */
  private static final int SMALL = 12;

  /** Calls of calls that are followed. */
  private static final int DEPTH = 6;

  /** How often a function may call itself inside a region. */
  private static final int RECURSION = 3;

  /** Code that ran less often than the entry by more than this factor stays out. */
  static final long RELATIVE_HEAT = 8;

  /** Pages further away are not looked at, so that deltas stay small. */
  private static final int REACH = 1 << 28;

  private final GuestMemory memory;
  private final Decoder decoder = new Decoder();
  private final CodeHints hints;
  private final long entryPage;
  private final int entry;
  private final Shape shape;
  private final int limit;
  private final int entryHeat;
  private final Map<Integer, RegionPage> pages = new LinkedHashMap<>();
  private final Map<Activation, Code> code = new LinkedHashMap<>();
  private final PriorityQueue<Lead> leads = new PriorityQueue<>();
  private int instructions;
  private int found;

  /** The instructions of one activation. */
  private static final class Code {
    final TreeMap<Integer, Instruction> instructions = new TreeMap<>();
    final TreeSet<Integer> starts = new TreeSet<>();

    /** By the place of an indirect jump or call: where it led. */
    final Map<Integer, List<Integer>> targets = new HashMap<>();
  }

  /** Code to look at; earlier ones of the same heat first. */
  private record Lead(Activation activation, int delta, int heat, int order)
      implements Comparable<Lead> {
    @Override
    public int compareTo(Lead other) {
      int byHeat = Integer.compare(other.heat, heat);
      return byHeat != 0 ? byHeat : Integer.compare(order, other.order);
    }
  }

  private RegionBuilder(GuestMemory memory, CodeHints hints, Shape shape, int limit) {
    this.memory = memory;
    this.hints = hints;
    this.shape = shape;
    this.limit = limit;
    this.entryHeat = hints.heat(hints.physical());
    this.entryPage = hints.linear() & -4096L;
    this.entry = (int) hints.linear() & 4095;
    addPage(0, hints.physical() & -4096L);
  }

  /**
   * Builds a region.
   *
   * @param hints where it begins, and what the processor knows
   * @param limit about how many instructions to take
   * @return null when the first instruction cannot be decoded
   */
  static @Nullable Region build(GuestMemory memory, CodeHints hints, Shape shape, int limit) {
    RegionBuilder builder = new RegionBuilder(memory, hints, shape, limit);
    Activation root = Activation.root(builder.entry);
    builder.leads.add(new Lead(root, builder.entry, Integer.MAX_VALUE, 0));
    while (builder.instructions < limit) {
      Lead lead = builder.leads.poll();
      if (lead == null) {
        break;
      }
      builder.follow(lead);
    }
    List<RegionBlock> blocks = builder.blocks();
    boolean begun =
        blocks.stream()
            .anyMatch(block -> block.activation.equals(root) && block.start == builder.entry);
    return begun
        ? new Region(blocks, List.copyOf(builder.pages.values()), builder.entry).reachable()
        : null;
  }

  private void follow(Lead lead) {
    Code own = code.computeIfAbsent(lead.activation, key -> new Code());
    own.starts.add(lead.delta);
    int at = lead.delta;
    while (!own.instructions.containsKey(at)) {
      Instruction instruction = decode(at);
      if (instruction == null) {
        return;
      }
      own.instructions.put(at, instruction);
      instructions++;
      int next = at + instruction.length();
      boolean goesOn = transfer(lead.activation, own, instruction, next);
      if (!goesOn
          || instructions >= limit + 32
          || (next & -4096) != (lead.delta & -4096)
          || isOthers(next)) {
        // Whatever is behind begins a block of its own, if it is in the region at all.
        return;
      }
      at = next;
    }
  }

  /** Whether other compiled code begins at a place of the pages known, where that is to be used. */
  private boolean isOthers(int delta) {
    if (shape == Shape.WIDE || delta == entry) {
      return false;
    }
    RegionPage page = pages.get(delta & -4096);
    return page != null && hints.compiled(page.physical() | delta & 4095) > SMALL;
  }

  /** Looks at where an instruction leads; returns whether the next one belongs to the block. */
  private boolean transfer(Activation here, Code own, Instruction instruction, int next) {
    if (Branches.isDirect(instruction.operation())) {
      lead(here, next + (int) instruction.immediate());
      if (Branches.isConditional(instruction.operation())) {
        lead(here, next);
      }
      return false;
    }
    switch (instruction.operation()) {
      case CALL -> {
        int target = next + (int) instruction.immediate();
        call(here, target, next);
        return false;
      }
      case CALL_INDIRECT -> {
        for (int target : targets(own, instruction, next)) {
          call(here, target, next);
        }
        return false;
      }
      case JMP_INDIRECT -> {
        for (int target : targets(own, instruction, next)) {
          lead(here, target);
        }
        return false;
      }
      case RET -> {
        return false;
      }
      default -> {
        if (CompiledCode.endsRegion(instruction)) {
          return false;
        }
        if ((next & -4096) != (next - 1 & -4096)) {
          lead(here, next);
        }
        return true;
      }
    }
  }

  /** Follows a call, and what comes when it returns. */
  private void call(Activation here, int target, int next) {
    if ((shape == Shape.WIDE || isSmall(here, target))
        && here.depth() < DEPTH
        && here.active(target) < RECURSION) {
      Activation called = new Activation(here, next, target, here.depth() + 1);
      if (lead(called, target)) {
        lead(here, next);
      }
    }
  }

  /** Whether a function that is called by the region's own code is compiled, and small. */
  private boolean isSmall(Activation here, int target) {
    // Not a page of the region for this: most of what is called stays out.
    long page = here.depth() == 0 ? hints.physicalPage(entryPage + (target & -4096)) : -1;
    int size = page < 0 ? 0 : hints.compiled(page | target & 4095);
    return size > 0 && size <= SMALL;
  }

  /** Where an indirect jump or call led, remembered for when its block is made. */
  private List<Integer> targets(Code own, Instruction instruction, int next) {
    if (shape == Shape.PLAIN) {
      return List.of();
    }
    int place = next - instruction.length();
    List<Integer> found = new ArrayList<>();
    for (long target : hints.targets(entryPage + place)) {
      long delta = target - entryPage;
      if (delta < REACH && delta > -REACH) {
        found.add((int) delta);
      }
    }
    own.targets.put(place, found);
    return found;
  }

  /** Takes note of code to look at, if it is known and was run. */
  private boolean lead(Activation activation, int delta) {
    RegionPage page = page(delta & -4096);
    if (page == null || isOthers(delta)) {
      return false;
    }
    int heat = hints.heat(page.physical() | delta & 4095);
    if (heat * RELATIVE_HEAT < entryHeat || heat == 0) {
      return false;
    }
    Code own = code.get(activation);
    if (own != null && own.starts.contains(delta)) {
      return true;
    }
    // Deeper calls are worth less: their code is in the region once for each call.
    leads.add(new Lead(activation, delta, heat >> activation.depth(), ++found));
    return true;
  }

  private @Nullable RegionPage page(int delta) {
    RegionPage page = pages.get(delta);
    if (page != null || pages.size() == PAGES || delta > REACH || delta < -REACH) {
      return page;
    }
    long physical = hints.physicalPage(entryPage + delta);
    return physical < 0 ? null : addPage(delta, physical);
  }

  private RegionPage addPage(int delta, long physical) {
    byte[] bytes = new byte[GuestMemory.PAGE_BYTES];
    memory.read(physical, bytes, 0, bytes.length);
    RegionPage page = new RegionPage(pages.size(), delta, physical, bytes);
    pages.put(delta, page);
    return page;
  }

  private @Nullable Instruction decode(int delta) {
    RegionPage page = pages.get(delta & -4096);
    if (page == null) {
      return null;
    }
    try {
      return decoder.decode(page.bytes(), delta & 4095, page.bytes().length, CodeSize.CODE_64);
    } catch (DecodeException e) {
      return null; // the region ends before it, and the interpreter meets it
    }
  }

  private List<RegionBlock> blocks() {
    List<RegionBlock> blocks = new ArrayList<>();
    code.forEach((activation, own) -> {
      RegionBlock current = null;
      int expected = 0;
      for (var each : own.instructions.entrySet()) {
        int delta = each.getKey();
        Instruction instruction = each.getValue();
        if (current == null || own.starts.contains(delta) || delta != expected) {
          current = new RegionBlock(activation, delta);
          blocks.add(current);
        }
        current.add(delta, instruction);
        current.targets.addAll(own.targets.getOrDefault(delta, List.of()));
        expected = delta + instruction.length();
        if (Branches.isConditional(instruction.operation())
            || Branches.endsBlock(instruction.operation())
            || (expected & -4096) != (delta & -4096)) {
          current = null;
        }
      }
    });
    return blocks;
  }
}
