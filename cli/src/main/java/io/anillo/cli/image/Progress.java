package io.anillo.cli.image;

/** Told how long work goes on. */
public interface Progress {

  /** Says nothing. */
  Progress SILENT =
      new Progress() {
        @Override
        public void report(String what, long done, long total) {}

        @Override
        public void finished() {}
      };

  /**
   * Work has gone on.
   *
   * @param what the present step, a few words
   * @param done in any unit; in seconds when the total is not known
   * @param total in the same unit; 0 when it is not known
   */
  void report(String what, long done, long total);

  /** The work is over, well or not; nothing more is reported. */
  void finished();
}
