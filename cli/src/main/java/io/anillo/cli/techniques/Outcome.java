package io.anillo.cli.techniques;

/** What came of one piece of work under one technique. */
sealed interface Outcome {

  record Measured(Measurement measurement) implements Outcome {}

  /**
   * It cannot be done here, or did not end as it should.
   *
   * @param why a sentence without its full stop
   */
  record Absent(String why) implements Outcome {}
}
