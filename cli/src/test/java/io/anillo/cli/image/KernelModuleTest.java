package io.anillo.cli.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class KernelModuleTest {
  private static KernelModule module(String name, String... dependencies) {
    return new KernelModule(name, name + ".ko", ByteBuffer.allocate(0), List.of(dependencies));
  }

  @Test
  void dependenciesComeFirstAndOnlyOnce() {
    Map<String, KernelModule> all =
        Stream.of(
                module("virtio_net", "virtio_ring", "virtio", "net_failover"),
                module("net_failover", "failover"),
                module("failover"),
                module("virtio", "virtio_ring"),
                module("virtio_ring"))
            .collect(Collectors.toMap(KernelModule::name, module -> module));
    assertThat(KernelModule.closure(all, List.of("virtio-net", "virtio", "built_in")))
        .extracting(KernelModule::name)
        .containsExactly("virtio_ring", "virtio", "failover", "net_failover", "virtio_net");
  }

  @Test
  void modulesThatNeedEachOtherDoNotLoopForever() {
    Map<String, KernelModule> all = Map.of("a", module("a", "b"), "b", module("b", "a"));
    assertThat(KernelModule.closure(all, List.of("a"))).hasSize(2);
  }

  @Test
  void damagedModulesAreRefused() {
    assertThatThrownBy(() -> KernelModule.parse("kernel/x.ko", new byte[100]))
        .isInstanceOf(ImageException.class)
        .hasMessage("the kernel module kernel/x.ko is damaged.");
  }
}
