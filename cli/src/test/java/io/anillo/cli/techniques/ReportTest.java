package io.anillo.cli.techniques;

import static org.assertj.core.api.Assertions.assertThat;

import io.anillo.vmm.cpu.ExitReason;
import io.anillo.vmm.machine.ProcessorActivity.Place;
import java.util.EnumMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Table, JSON and page show the same figures. */
class ReportTest {
  private static Report report() {
    Map<Technique, Outcome> outcomes = new EnumMap<>(Technique.class);
    outcomes.put(
        Technique.INTERPRET,
        new Outcome.Measured(
            new Measurement(
                2_000_000,
                1234,
                Map.of(
                    ExitReason.PORT,
                    40L,
                    ExitReason.TIMER,
                    8L,
                    ExitReason.KICK,
                    2L,
                    ExitReason.HALT,
                    0L),
                Map.of(ExitReason.PORT, 80_000L, ExitReason.TIMER, 64_000L),
                Map.of(Place.RING_3, 500L, Place.RING_0, 250L, Place.MONITOR, 250L))));
    outcomes.put(Technique.HARDWARE, new Outcome.Absent("there is <no> hardware"));
    Report report = new Report("none & nothing");
    report.add("work", "some work", "it differs", outcomes);
    return report;
  }

  @Test
  void theTableHasTimeExitsAndShares() {
    assertThat(report().table())
        .contains("Hardware: none & nothing.")
        .containsPattern(
            "interpretation +2\\.0 ms +50 +3000 ns +50% +25% +25%  port 40, timer 8, kick 2\\n")
        .contains("-- there is <no> hardware")
        .contains("  it differs\n");
  }

  @Test
  void jsonHasThemByReason() {
    String json = report().json().toString();
    assertThat(json)
        .contains("millis=2")
        .contains("guestInstructions=1234")
        .contains("port=40")
        .contains("nanosPerExit=3000")
        .contains("percentOfTime={ring3=50, ring0=25, monitor=25}")
        .contains("absent=there is <no> hardware");
    assertThat(json.replaceFirst(".*nanosPerExitByReason=", ""))
        .startsWith("{")
        .contains("port=2000")
        .contains("timer=8000");
  }

  @Test
  void thePageHasTheSameAndBars() {
    String page = ReportPage.of(report());
    assertThat(page)
        .contains("<td>2.0 ms</td><td>50</td><td>3000 ns</td><td>50 %</td><td>25 %</td>")
        .contains("port 40, timer 8, kick 2")
        .contains("there is &lt;no&gt; hardware")
        .contains("none &amp; nothing")
        .contains("width=\"280.0\"")
        .contains("it differs");
  }
}
