package io.anillo.vmm.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.ClassEntry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Raw memory is touched by the audited classes alone, whatever else is written. */
class RawMemoryTest {
  private static final Path CLASSES = Path.of("target", "classes");

  @Test
  void onlyTheAuditedClassesKnowUnsafe() throws IOException {
    try (Stream<Path> files = Files.walk(CLASSES)) {
      assertThat(
              files
                  .filter(file -> file.toString().endsWith(".class"))
                  .filter(RawMemoryTest::namesUnsafe)
                  .map(file -> String.valueOf(file.getFileName())))
          .as("classes that name jdk.internal.misc.Unsafe")
          .containsExactlyInAnyOrder(
              // guest memory itself
              "GuestMemory.class",
              // writes code that accesses it, with the same mask, and the TLB
              "MemoryEmitter.class",
              // writes code that accesses the processor's arrays at constant indexes
              "RegisterLocals.class",
              // names the type for both
              "Names.class");
    }
  }

  private static boolean namesUnsafe(Path file) {
    try {
      for (var entry : ClassFile.of().parse(file).constantPool()) {
        if (entry instanceof ClassEntry type
            && type.asInternalName().equals("jdk/internal/misc/Unsafe")) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
