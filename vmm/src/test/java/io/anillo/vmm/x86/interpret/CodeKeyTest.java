package io.anillo.vmm.x86.interpret;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.x86.decode.CodeSize;
import io.anillo.vmm.x86.decode.Decoder;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

/** A block keeps its name when its kernel is linked elsewhere, and shares it with no other. */
class CodeKeyTest {
  private static long key(int pageOffset, String... instructions) throws Exception {
    CodeKey key = new CodeKey(pageOffset);
    for (String bytes : instructions) {
      byte[] code = HexFormat.of().parseHex(bytes);
      key.add(new Decoder().decode(code, 0, code.length, CodeSize.CODE_64));
    }
    return key.value();
  }

  @Test
  void addressesOfAKernelThatMovedDoNotCount() throws Exception {
    // mov rdi, 0xffffffff81234560; mov rax, [rax*8-0x7e000000]
    long here = key(0x40, "48c7c760452381", "488b04c500000082");
    long moved = key(0x40, "48c7c7604523a1", "488b04c5000000a2");
    assertThat(moved).isEqualTo(here);
  }

  @Test
  void theDistanceToWhatAProcessorHasOfItsOwnDoesNotCount() throws Exception {
    // inc dword gs:[rip+0x7ee35fa9]; the same in a kernel 32 MiB further up
    assertThat(key(0x40, "65ff05a95fe37c")).isEqualTo(key(0x40, "65ff05a95fe37e"));
    assertThat(key(0x40, "ff05a95fe37c")).isNotEqualTo(key(0x40, "ff05a95fe37e"));
  }

  @Test
  void everythingElseCounts() throws Exception {
    long here = key(0x40, "48c7c760452311", "ebfe");
    assertThat(key(0x40, "48c7c760452312", "ebfe")).as("a number").isNotEqualTo(here);
    assertThat(key(0x40, "48c7c660452311", "ebfe")).as("a register").isNotEqualTo(here);
    assertThat(key(0x41, "48c7c760452311", "ebfe")).as("its place").isNotEqualTo(here);
    assertThat(key(0x40, "48c7c760452311", "ebfc")).as("a target").isNotEqualTo(here);
    assertThat(key(0x40, "48c7c760452311")).as("less code").isNotEqualTo(here);
  }
}
