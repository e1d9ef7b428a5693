package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.port.CharBackend;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Small guests of ours, assembled from the sources beside them in the test resources, each of which
 * says how. They end through the debug-exit port.
 */
final class FreestandingGuest {
  static final int DEBUG_EXIT = 0xF4;
  static final long MEMORY_BYTES = 16 << 20;

  /** How guests that judge themselves end when all was right. */
  static final MachineExit RIGHT = new MachineExit.DebugExit(0x21);

  private FreestandingGuest() {}

  static ByteBuffer image(String name) {
    try (InputStream in = FreestandingGuest.class.getResourceAsStream(name + ".bin")) {
      if (in == null) {
        throw new IllegalArgumentException("no guest " + name);
      }
      return ByteBuffer.wrap(in.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static MachineConfig config(String name) {
    return MachineConfig.of(MEMORY_BYTES, image(name), ByteBuffer.allocate(0), "")
        .withDebugExit(DEBUG_EXIT);
  }

  /** Runs a guest that ends with {@link #RIGHT} when all its results were right. */
  static void assertRight(String name, MachineConfig.Engine engine) throws Exception {
    try (Machine machine = Machine.create(config(name).withEngine(engine))) {
      assertThat(machine.run()).isEqualTo(RIGHT);
      assertThat(machine.translator().flatMap(translator -> translator.failure())).isEmpty();
    }
  }

  /** A line on which the test types. */
  static final class Keyboard implements CharBackend {
    private volatile @Nullable Receiver receiver;

    @Override
    public void start(Receiver newReceiver) {
      receiver = newReceiver;
    }

    @Override
    public void write(byte[] data, int offset, int length) {}

    @Override
    public void close() {}

    void type(byte[] bytes) {
      Receiver target = receiver;
      if (target != null) {
        target.receive(bytes, 0, bytes.length);
      }
    }
  }
}
