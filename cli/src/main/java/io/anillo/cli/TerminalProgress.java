package io.anillo.cli;

import io.anillo.cli.image.Progress;
import java.io.PrintStream;
import java.util.Locale;

/** A progress bar on a terminal; on anything else, one line for each step. */
final class TerminalProgress implements Progress {
  private static final int BAR = 30;
  private static final long REDRAW_NANOS = 50_000_000;

  private final PrintStream out;
  private final boolean terminal;
  private final String title;
  private String step = "";
  private long drawn;
  private boolean visible;

  TerminalProgress(String title, PrintStream out, boolean terminal) {
    this.title = title;
    this.out = out;
    this.terminal = terminal;
  }

  @Override
  public void report(String what, long done, long total) {
    long now = System.nanoTime();
    boolean newStep = !what.equals(step);
    if (!newStep && (!terminal || (now - drawn < REDRAW_NANOS && done < total))) {
      return;
    }
    step = what;
    drawn = now;
    if (!terminal) {
      out.println(title + ": " + what);
      return;
    }
    visible = true;
    StringBuilder line = new StringBuilder("\r\033[K").append(title).append(": ").append(what);
    if (total > 0) {
      int filled = (int) (Math.min(done, total) * BAR / total);
      line.append(" [").append("#".repeat(filled)).append(" ".repeat(BAR - filled)).append("] ");
      line.append(String.format(Locale.ROOT, "%d %%", Math.min(done, total) * 100 / total));
    }
    if (total == 0 && done > 0) {
      line.append(" (").append(done).append(" s)");
    }
    out.print(line);
    out.flush();
  }

  @Override
  public void finished() {
    if (visible) {
      out.print("\r\033[K");
      out.flush();
      visible = false;
    }
    step = "";
  }
}
