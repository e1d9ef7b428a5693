package io.anillo.storage.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.PowerCutDisk;
import io.anillo.storage.disk.PowerCutDisk.Power;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Snapshots sent whole and as increments from one pool to another. */
class ReplicationTest {
  private static final int SIZE = 4 << 20;
  private static final PoolOptions OPTIONS =
      PoolOptions.DEFAULT.withSlabBytes(256 << 10).withoutThreads();

  private final Random random = new Random(21);
  private Pool here = pool("here", 1);
  private Pool there = pool("there", 3);

  private static Pool pool(String name, int count) {
    List<Disk> disks = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      disks.add(new PowerCutDisk(name + i, 40 << 20, new Power(Long.MAX_VALUE)));
    }
    try {
      return Pool.create(name, disks, OPTIONS);
    } catch (IOException failure) {
      throw new IllegalStateException(failure);
    }
  }

  @BeforeEach
  void makeVolume() throws IOException {
    here.createVolume(VolumeSpecification.of("disk", SIZE, Redundancy.NONE));
  }

  @AfterEach
  void closePools() throws IOException {
    here.close();
    there.close();
  }

  private static VolumeSpecification asParity(String name) {
    // the size is the stream's
    return VolumeSpecification.of(name, 512, Redundancy.parity(2, 1)).withCompression();
  }

  private void change(Pool pool, byte[] model, int times) throws IOException {
    try (ThinVolume volume = pool.openVolume("disk", Optional.empty())) {
      for (int i = 0; i < times; i++) {
        int offset = random.nextInt(model.length);
        int length = Math.min(model.length - offset, 1 + random.nextInt(60_000));
        if (random.nextInt(4) == 0) {
          volume.writeZeroes(offset, length, true);
          Arrays.fill(model, offset, offset + length, (byte) 0);
        } else {
          byte[] data = new byte[length];
          random.nextBytes(data);
          volume.write(offset, ByteBuffer.wrap(data));
          System.arraycopy(data, 0, model, offset, length);
        }
      }
    }
  }

  private byte[] sent(String from, String to) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    here.send("disk", Optional.of(from).filter(name -> !name.isEmpty()), to, Optional.empty(), out);
    return out.toByteArray();
  }

  private static byte[] contents(ThinVolume volume) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate((int) volume.sizeBytes());
    volume.read(0, bytes);
    return bytes.array();
  }

  private void receive(byte[] stream, boolean rollBack) throws IOException {
    there.receive(new ByteArrayInputStream(stream), asParity("disk"), rollBack);
  }

  @Test
  void incrementsBringACopyUpToDate() throws IOException {
    byte[] model = new byte[SIZE];
    String last = "";
    for (int i = 0; i < 6; i++) {
      change(here, model, 20);
      if (i == 3) {
        model = Arrays.copyOf(model, SIZE + 512 * 100);
        try (ThinVolume volume = here.openVolume("disk", Optional.empty())) {
          volume.resize(model.length);
        }
      }
      if (i == 5) {
        model = Arrays.copyOf(model, SIZE / 2);
        try (ThinVolume volume = here.openVolume("disk", Optional.empty())) {
          volume.resize(model.length);
        }
      }
      String name = "s" + i;
      here.snapshot("disk", name);
      byte[] stream = sent(last, name);
      if (i == 2) {
        assertThat(stream.length).as("an increment holds the changes only").isLessThan(SIZE / 2);
      }
      receive(stream, false);
      last = name;
      try (ThinVolume copy = there.openVolume("disk", Optional.empty());
          ThinVolume snapshot = there.openSnapshot("disk", name, Optional.empty())) {
        assertThat(contents(copy)).isEqualTo(model);
        assertThat(contents(snapshot)).isEqualTo(model);
      }
    }
    assertThat(there.scrub().lost()).isZero();
  }

  @Test
  void damagedAndShortStreamsLeaveNothingBehind() throws IOException {
    byte[] model = new byte[SIZE];
    change(here, model, 20);
    here.snapshot("disk", "one");
    byte[] whole = sent("", "one");
    for (int i = 0; i < 30; i++) {
      byte[] wrong =
          i % 2 == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
      if (i % 2 == 1) {
        wrong[random.nextInt(wrong.length)] ^= 1;
      }
      assertThatThrownBy(() -> receive(wrong, false)).isInstanceOf(IOException.class);
      assertThat(there.status().volumes()).isEmpty();
    }
    receive(whole, false);
    change(here, model, 5);
    here.snapshot("disk", "two");
    byte[] increment = sent("one", "two");
    byte[] before;
    try (ThinVolume copy = there.openVolume("disk", Optional.empty())) {
      before = contents(copy);
    }
    byte[] cut = Arrays.copyOf(increment, increment.length - 1);
    assertThatThrownBy(() -> receive(cut, false)).hasMessageContaining("ends too early");
    try (ThinVolume copy = there.openVolume("disk", Optional.empty())) {
      assertThat(contents(copy)).isEqualTo(before);
    }
    receive(increment, false);
    assertThatThrownBy(() -> receive(increment, false)).isInstanceOf(IOException.class);
  }

  @Test
  void whatIsRefusedOrFailsWithARollBackLosesNothing() throws IOException {
    byte[] model = new byte[SIZE];
    change(here, model, 10);
    here.snapshot("disk", "one");
    receive(sent("", "one"), false);
    byte[] copied = model.clone();
    change(here, model, 10);
    here.snapshot("disk", "two");
    byte[] increment = sent("one", "two");
    change(there, copied, 3);
    for (int i = 0; i < 20; i++) {
      byte[] wrong =
          i % 2 == 0
              ? Arrays.copyOf(increment, random.nextInt(increment.length))
              : increment.clone();
      if (i % 2 == 1) {
        wrong[random.nextInt(wrong.length)] ^= 1;
      }
      assertThatThrownBy(() -> receive(wrong, true)).isInstanceOf(IOException.class);
      assertCopy(copied, "one");
    }
    receive(increment, true);
    assertCopy(model, "one", "two");
    change(there, model, 3);
    assertThatThrownBy(() -> receive(increment, true))
        .hasMessage("volume disk has a snapshot \"two\" already");
    assertCopy(model, "one", "two");
    assertThat(there.scrub().lost()).isZero();
  }

  private void assertCopy(byte[] model, String... snapshots) throws IOException {
    try (ThinVolume copy = there.openVolume("disk", Optional.empty())) {
      assertThat(Arrays.equals(contents(copy), model)).isTrue();
    }
    assertThat(there.status().volumes().getFirst().snapshots())
        .extracting(PoolStatus.SnapshotStatus::name)
        .containsExactly(snapshots);
  }

  @Test
  void changesOfTheReceiverAreNotLostUnasked() throws IOException {
    byte[] model = new byte[SIZE];
    change(here, model, 10);
    here.snapshot("disk", "one");
    receive(sent("", "one"), false);
    change(here, model, 10);
    here.snapshot("disk", "two");
    change(there, new byte[SIZE], 1);
    byte[] increment = sent("one", "two");
    assertThatThrownBy(() -> receive(increment, false)).hasMessageContaining("was changed since");
    receive(increment, true);
    try (ThinVolume copy = there.openVolume("disk", Optional.empty())) {
      assertThat(contents(copy)).isEqualTo(model);
    }
    // a snapshot of the same name that is another one
    there.deleteVolume("disk");
    there.createVolume(asParity("disk").withSize(SIZE));
    there.snapshot("disk", "two");
    change(here, model, 1);
    here.snapshot("disk", "three");
    assertThatThrownBy(() -> receive(sent("two", "three"), false))
        .hasMessageContaining("that is the sender's");
  }
}
