package io.anillo.cli;

import io.anillo.cli.image.DebianDisk;
import io.anillo.cli.image.DefaultGuest;
import io.anillo.cli.image.GuestCache;
import io.anillo.cli.image.ImageException;
import io.anillo.vmm.host.HostTerminal;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo image build}. */
@Command(
    name = "build",
    description = "Builds a guest and says how to boot it.",
    mixinStandardHelpOptions = true)
final class ImageBuildCommand implements Callable<Integer> {

  /** The guests there are. */
  enum Guest {
    DEFAULT,
    DEBIAN_12;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** Knows the guests by their names with a hyphen. */
  static final class GuestConverter implements picocli.CommandLine.ITypeConverter<Guest> {
    @Override
    public Guest convert(String text) {
      for (Guest guest : Guest.values()) {
        if (guest.toString().equals(text)) {
          return guest;
        }
      }
      throw new picocli.CommandLine.TypeConversionException(
          "'" + text + "' is no guest that can be built; default and debian-12 are");
    }
  }

  @Parameters(
      paramLabel = "GUEST",
      converter = GuestConverter.class,
      description = "default: kernel and busybox; debian-12: a complete system on a disk.")
  private @Nullable Guest guest;

  @Option(names = "--again", description = "Build it even if it is there, with today's packages.")
  private boolean again;

  @Override
  public Integer call() {
    if (guest == null) {
      throw new IllegalStateException("picocli has set no guest");
    }
    TerminalProgress progress =
        new TerminalProgress(
            "Building " + guest, System.err, HostTerminal.isAt(HostTerminal.STANDARD_ERROR));
    try {
      switch (guest) {
        case DEFAULT -> {
          DefaultGuest made = DefaultGuest.get(GuestCache.ofUser(), again, progress);
          System.out.println("kernel  " + made.kernel());
          System.out.println("initrd  " + made.initialRamDisk());
          System.out.println("Boot it with: ./anillo run");
        }
        case DEBIAN_12 -> {
          DebianDisk made = DebianDisk.get(GuestCache.ofUser(), again, progress);
          System.out.println("kernel  " + made.kernel());
          System.out.println("initrd  " + made.initialRamDisk());
          System.out.println("disk    " + made.disk() + " (user root, password anillo)");
          System.out.println(
              "Boot it with: ./anillo run --kernel %s --initrd %s --disk %s --append '%s'"
                  .formatted(
                      made.kernel(), made.initialRamDisk(), made.disk(), DebianDisk.COMMAND_LINE));
        }
      }
      return 0;
    } catch (ImageException e) {
      System.err.println("anillo: " + e.sentence());
      return ExitStatus.NOT_STARTED;
    }
  }
}
