package io.anillo.vmm.x86.translate;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.interpret.CompiledCode;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Regions are found by what they go through, once, and only what is still worth it. */
class EnclosingTest {
  private static final long PAGE = 0x5000;

  private final Enclosing enclosing = new Enclosing();
  private final HottestFirst.Request request =
      new HottestFirst.Request(new OneInstruction(0, 0), new Nowhere());

  private CompiledCode add(int... starts) {
    Activation root = Activation.root(starts[0]);
    List<RegionBlock> blocks =
        Arrays.stream(starts).mapToObj(start -> new RegionBlock(root, start)).toList();
    RegionPage page = new RegionPage(0, 0, PAGE, new byte[4096]);
    CompiledCode code = new NeverRun();
    enclosing.add(request, code, new Region(blocks, List.of(page), starts[0]));
    return code;
  }

  private List<CompiledCode> take(long place, long instructions) {
    return enclosing.take(PAGE + place, instructions).stream().map(Enclosing.Plain::code).toList();
  }

  @Test
  void findsWhatGoesThroughAPlaceOnce() {
    CompiledCode first = add(0x100, 0x120, 0x140);
    CompiledCode second = add(0x120, 0x140, 0x100);
    add(0x140, 0x160);
    assertThat(take(0x120, 0)).containsExactly(first);
    assertThat(take(0x120, 0)).isEmpty();
    assertThat(take(0x100, 0)).containsExactly(second);
  }

  @Test
  void leavesOutWhatHardlyRuns() {
    CompiledCode code = add(0x100, 0x120);
    assertThat(take(0x120, 1)).isEmpty();
    assertThat(take(0x120, 0)).containsExactly(code);
  }

  @Test
  void forgetsWhatWasGivenUp() {
    add(0x100, 0x120).valid = false;
    CompiledCode kept = add(0x110, 0x120);
    assertThat(take(0x120, 0)).containsExactly(kept);
  }
}
