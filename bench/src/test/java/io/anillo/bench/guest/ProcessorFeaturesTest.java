package io.anillo.bench.guest;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class ProcessorFeaturesTest {

  @Test
  void peerGetsTheFeaturesOfTheProcessorAndNoOthers() {
    assertThat(ProcessorFeatures.qemuOption())
        .startsWith("qemu64,")
        .contains(",+ssse3", ",+sse4.1", ",+sse4.2", ",+popcnt", ",+fsgsbase", ",+smap")
        .contains(",-avx,", ",-avx2", ",-bmi2", ",-svm", ",-aes", ",-fma");
  }

  @Test
  void differencesNameWhatIsMissingAndWhatIsMore() {
    String ours = "flags\t\t: fpu sse sse2 pcid";
    String theirs = "flags\t\t: fpu sse sse2 xsaveopt";
    assertThat(ProcessorFeatures.difference(ours, theirs)).isEqualTo("-pcid +xsaveopt");
    assertThat(ProcessorFeatures.decisiveDifferences(ours, theirs)).isEmpty();
  }

  @Test
  void aVectorExtensionOfOnlyOneIsDecisive() {
    assertThat(ProcessorFeatures.decisiveDifferences("flags : sse sse2", "flags : sse sse2 avx2"))
        .containsExactly("avx2");
  }
}
