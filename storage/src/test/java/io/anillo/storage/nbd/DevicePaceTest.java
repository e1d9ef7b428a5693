package io.anillo.storage.nbd;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** When a connection's thread waits for the device, and when others do. */
class DevicePaceTest {
  private final DevicePace pace = new DevicePace();

  private void observe(int times, long nanos) {
    for (int i = 0; i < times; i++) {
      pace.observe(nanos, 4096);
    }
  }

  @Test
  void aQuickDeviceIsWaitedForAndOneStallChangesNothing() {
    observe(100, 3_000);
    observe(1, 50_000_000);
    observe(20, 3_000);
    assertThat(pace.worthWaiting(false)).isTrue();
    assertThat(pace.trialDue()).isFalse();
  }

  @Test
  void aDiskIsWaitedForOnlyWhenThereIsNothingElse() {
    observe(100, 100_000);
    assertThat(pace.worthWaiting(false)).isFalse();
    assertThat(pace.worthWaiting(true)).isTrue();
    assertThat(pace.slow()).isFalse();
  }

  @Test
  void aSlowDeviceIsNeverWaitedFor() {
    observe(100, 10_000_000);
    assertThat(pace.worthWaiting(true)).isFalse();
    assertThat(pace.slow()).isTrue();
  }

  @Test
  void longRequestsMayTakeLonger() {
    for (int i = 0; i < 100; i++) {
      pace.observe(900_000, 1 << 20);
    }
    assertThat(pace.worthWaiting(false)).isTrue();
  }

  @Test
  void aTrialFindsThatTheDeviceHasBecomeQuick() throws Exception {
    observe(100, 10_000_000);
    while (!pace.trialDue()) {
      Thread.sleep(20);
    }
    pace.beginTrial();
    for (int i = 0; i < 8; i++) {
      assertThat(pace.worthWaiting(false)).isTrue();
      observe(1, 3_000);
    }
    assertThat(pace.worthWaiting(false)).isTrue();
    assertThat(pace.trialDue()).isFalse();
  }

  @Test
  void aTrialOfADeviceThatIsStillSlowEnds() throws Exception {
    observe(100, 10_000_000);
    while (!pace.trialDue()) {
      Thread.sleep(20);
    }
    pace.beginTrial();
    observe(8, 10_000_000);
    assertThat(pace.worthWaiting(true)).isFalse();
  }
}
