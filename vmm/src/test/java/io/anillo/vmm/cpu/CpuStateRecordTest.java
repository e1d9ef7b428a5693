package io.anillo.vmm.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.anillo.vmm.state.StateException;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** Goes through all fields by reflection, so that a field added later cannot be forgotten. */
class CpuStateRecordTest {

  private static List<Field> fields(Class<?> type) {
    List<Field> fields = new ArrayList<>();
    for (Field field : type.getDeclaredFields()) {
      if (!Modifier.isStatic(field.getModifiers())) {
        fields.add(field);
      }
    }
    return fields;
  }

  private static CpuState random(long seed) throws IllegalAccessException {
    SplittableRandom random = new SplittableRandom(seed);
    CpuState state = new CpuState();
    fill(state, random);
    state.general[CpuState.ZERO_REGISTER] = 0;
    state.general[CpuState.BLOCK_RIP] = 0;
    state.segmentBase[CpuState.NO_SEGMENT] = 0;
    state.setRflags(random.nextInt());
    return state;
  }

  private static void fill(Object target, SplittableRandom random) throws IllegalAccessException {
    for (Field field : fields(target.getClass())) {
      switch (field.get(target)) {
        case Long number -> field.setLong(target, random.nextLong());
        case Integer number -> field.setInt(target, random.nextInt());
        case Boolean flag -> field.setBoolean(target, random.nextBoolean());
        case ParavirtualRegisters registers -> fill(registers, random);
        case long[] numbers -> java.util.Arrays.setAll(numbers, i -> random.nextLong());
        case int[] numbers -> java.util.Arrays.setAll(numbers, i -> random.nextInt());
        default -> throw new AssertionError("a field of another kind: " + field);
      }
    }
  }

  private static byte[] saved(CpuState state) {
    StateWriter out = new StateWriter();
    CpuStateRecord.save(state, out);
    return out.toByteArray();
  }

  @Test
  void everyFieldGoesRound() throws IllegalAccessException {
    for (long seed = 0; seed < 50; seed++) {
      CpuState state = random(seed);
      CpuState copy = random(seed + 1000);
      StateReader in = new StateReader(saved(state));
      CpuStateRecord.restore(copy, in);
      assertThat(in.atEnd()).isTrue();
      assertThat(copy.rflags()).isEqualTo(state.rflags());
      assertSame(copy, state);
    }
  }

  private static void assertSame(Object copy, Object original) throws IllegalAccessException {
    for (Field field : fields(original.getClass())) {
      if (field.get(original) instanceof ParavirtualRegisters registers) {
        assertSame(field.get(copy), registers);
      } else {
        assertThat(field.get(copy)).as(field.getName()).isEqualTo(field.get(original));
      }
    }
  }

  @Test
  void truncatedRecordsAreRefused() throws IllegalAccessException {
    byte[] record = saved(random(1));
    for (int length = 0; length < record.length; length += 7) {
      byte[] cut = java.util.Arrays.copyOf(record, length);
      assertThatThrownBy(() -> CpuStateRecord.restore(new CpuState(), new StateReader(cut)))
          .isInstanceOf(StateException.class);
    }
  }
}
