package io.anillo.cli.image;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where prepared guests are kept: one directory per guest, complete as soon as it can be seen.
 *
 * <p>A guest is made in a directory of another name and renamed when it is whole, so an interrupted
 * download leaves nothing that looks like a guest. Only one process prepares a guest at a time;
 * others wait for it.
 */
public final class GuestCache {
  private static final String UNFINISHED = ".unfinished";

  private final Path guests;

  /** Makes a guest in an empty directory. */
  @FunctionalInterface
  interface Preparation {
    void prepare(Path directory) throws ImageException, IOException;
  }

  public GuestCache(Path home) {
    this.guests = home.resolve("guests");
  }

  /** The cache of this user, in {@link #homeOfUser}. */
  public static GuestCache ofUser() {
    return new GuestCache(homeOfUser());
  }

  /**
   * Where this user's guests and reports are kept: {@code ANILLO_HOME}, or {@code
   * ~/.local/share/anillo}.
   */
  public static Path homeOfUser() {
    String home = System.getenv("ANILLO_HOME");
    return home != null && !home.isBlank()
        ? Path.of(home)
        : Path.of(System.getProperty("user.home"), ".local", "share", "anillo");
  }

  /** The directory of a guest that was prepared before. */
  Optional<Path> find(String name) {
    Path directory = guests.resolve(name);
    return Files.isDirectory(directory) ? Optional.of(directory) : Optional.empty();
  }

  /**
   * The directory of a guest, prepared now when it is not there.
   *
   * @param again whether to prepare it even when it is there
   */
  Path get(String name, boolean again, Preparation preparation) throws ImageException {
    Optional<Path> ready = find(name);
    if (ready.isPresent() && !again) {
      return ready.get();
    }
    try {
      Files.createDirectories(guests);
      try (FileChannel lockFile =
              FileChannel.open(
                  guests.resolve(name + ".lock"),
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE);
          FileLock lock = lockFile.lock()) {
        // Somebody else may have prepared it while this process waited.
        ready = find(name);
        if (ready.isPresent() && !again) {
          return ready.get();
        }
        return prepare(name, preparation);
      }
    } catch (IOException e) {
      throw new ImageException(
          "The guest could not be stored under "
              + guests
              + ": "
              + reason(e)
              + " (ANILLO_HOME names another place).",
          e);
    }
  }

  private Path prepare(String name, Preparation preparation) throws ImageException, IOException {
    deleteLeftovers(name);
    Path unfinished = Files.createTempDirectory(guests, name + UNFINISHED);
    Thread cleaner = new Thread(() -> deleteQuietly(unfinished));
    Runtime.getRuntime().addShutdownHook(cleaner);
    boolean complete = false;
    try {
      preparation.prepare(unfinished);
      Path directory = guests.resolve(name);
      if (Files.isDirectory(directory)) {
        // Machines that run have their files open; only the names go away.
        Path old = Files.createTempDirectory(guests, name + UNFINISHED);
        Files.move(directory, old.resolve("old"), StandardCopyOption.ATOMIC_MOVE);
        Files.move(unfinished, directory, StandardCopyOption.ATOMIC_MOVE);
        delete(old);
      } else {
        Files.move(unfinished, directory, StandardCopyOption.ATOMIC_MOVE);
      }
      complete = true;
      return directory;
    } finally {
      if (!complete) {
        delete(unfinished);
      }
      try {
        Runtime.getRuntime().removeShutdownHook(cleaner);
      } catch (IllegalStateException e) {
        // Going down already; the cleaner runs.
      }
    }
  }

  /** Deletes what a killed process left; called under the guest's lock. */
  private void deleteLeftovers(String name) throws IOException {
    try (Stream<Path> entries = Files.list(guests)) {
      for (Path entry :
          entries
              .filter(path -> path.getFileName().toString().startsWith(name + UNFINISHED))
              .toList()) {
        delete(entry);
      }
    }
  }

  private static void deleteQuietly(Path directory) {
    try {
      delete(directory);
    } catch (IOException e) {
      System.getLogger(GuestCache.class.getName())
          .log(System.Logger.Level.DEBUG, "left behind " + directory, e);
    }
  }

  private static void delete(Path directory) throws IOException {
    if (!Files.exists(directory)) {
      return;
    }
    Files.walkFileTree(
        directory,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException failure)
              throws IOException {
            if (failure != null) {
              throw failure;
            }
            Files.delete(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  private static String reason(IOException e) {
    return switch (e) {
      case java.nio.file.AccessDeniedException denied ->
          "access to " + denied.getFile() + " is denied";
      case java.nio.file.FileSystemException failed when failed.getReason() != null ->
          failed.getReason();
      default -> String.valueOf(e.getMessage());
    };
  }
}
