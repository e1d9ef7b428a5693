package io.anillo.cli.image;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Packages of the host's distribution, found and fetched by its own apt as an ordinary user. */
final class AptPackages {
  private static final Pattern URI_LINE =
      Pattern.compile("^'([^']+)' (\\S+) (\\d+) SHA256:([0-9a-f]{64})\\s*$", Pattern.MULTILINE);

  /**
   * A package file as apt's signed lists describe it.
   *
   * @param fileName the name apt gives it when it downloads it
   */
  record PackageFile(String specification, String fileName, long sizeBytes, String sha256) {}

  private AptPackages() {}

  static void requireApt() throws ImageException {
    if (!HostCommand.exists("apt-get") || !HostCommand.exists("apt-cache")) {
      throw new ImageException(
          "The default guest is made of Debian's packages, and this machine has no apt-get to fetch"
              + " them; --kernel and --initrd still boot any guest of yours.");
    }
  }

  /**
   * The versioned package that a meta package stands for.
   *
   * @param prefix what the wanted dependency's name begins with
   * @return {@code name=version}
   */
  static String dependency(Path directory, String metaPackage, String prefix)
      throws ImageException {
    HostCommand.Result shown =
        HostCommand.run(directory, List.of("apt-cache", "show", "--no-all-versions", metaPackage));
    Matcher dependency =
        Pattern.compile(
                "^Depends:.*?\\b(" + Pattern.quote(prefix) + "[a-z0-9.+-]+)(?: \\(= ([^)]+)\\))?",
                Pattern.MULTILINE)
            .matcher(shown.output());
    if (!dependency.find()) {
      throw unknown(metaPackage);
    }
    String version = dependency.group(2);
    return version == null ? dependency.group(1) : dependency.group(1) + "=" + version;
  }

  /**
   * Looks packages up without fetching anything.
   *
   * @param directory an empty directory
   */
  static List<PackageFile> find(Path directory, List<String> specifications) throws ImageException {
    List<PackageFile> files = new ArrayList<>();
    for (String specification : specifications) {
      HostCommand.Result printed =
          HostCommand.run(directory, List.of("apt-get", "download", "--print-uris", specification));
      Matcher line = URI_LINE.matcher(printed.output());
      if (printed.status() != 0 || !line.find()) {
        throw unknown(specification);
      }
      files.add(
          new PackageFile(
              specification, line.group(2), Long.parseLong(line.group(3)), line.group(4)));
    }
    return files;
  }

  /** Fetches packages into a directory and checks each against the hash in apt's lists. */
  static List<Path> download(Path directory, List<PackageFile> packages, Progress progress)
      throws ImageException {
    long total = packages.stream().mapToLong(PackageFile::sizeBytes).sum();
    List<String> command = new ArrayList<>(List.of("apt-get", "download", "-q"));
    packages.forEach(file -> command.add(file.specification()));
    HostCommand.Result result =
        HostCommand.run(
            directory,
            command,
            Map.of(),
            errors -> progress.report("downloading", bytesIn(directory), total));
    if (result.status() != 0) {
      throw new ImageException(
          "apt-get could not download the guest's packages: " + result.excerpt());
    }
    List<Path> paths = new ArrayList<>();
    for (PackageFile file : packages) {
      Path path = directory.resolve(file.fileName());
      if (!Files.isRegularFile(path)) {
        throw new ImageException("apt-get downloaded no " + file.fileName() + ".");
      }
      String hash = sha256(path);
      if (!hash.equals(file.sha256())) {
        throw new ImageException(
            file.fileName()
                + " has the SHA-256 "
                + hash
                + ", and apt's lists say "
                + file.sha256()
                + "; please try again.");
      }
      paths.add(path);
    }
    return paths;
  }

  private static ImageException unknown(String specification) {
    return new ImageException(
        "apt on this machine offers no package "
            + specification
            + "; on Debian, 'apt-get update' as root may help; --kernel and --initrd still boot any"
            + " guest of yours.");
  }

  private static long bytesIn(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files
          .filter(file -> file.toString().endsWith(".deb"))
          .mapToLong(file -> {
            try {
              return Files.size(file);
            } catch (IOException e) {
              // Renamed meanwhile; the next look finds it.
              return 0;
            }
          })
          .sum();
    } catch (UncheckedIOException e) {
      // The directory changed while it was walked.
      return 0;
    }
  }

  static String sha256(Path file) throws ImageException {
    try (InputStream in = Files.newInputStream(file)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] buffer = new byte[1 << 16];
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        digest.update(buffer, 0, count);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (IOException e) {
      throw new ImageException(file + " could not be read: " + e.getMessage() + ".", e);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
