package io.anillo.cli.storage;

import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Snapshots as streams, from pool to pool. */
final class ReplicationCommands {
  private ReplicationCommands() {}

  /** {@code anillo volume send}. */
  @Command(
      name = "send",
      description = "Writes a snapshot, or what it changed, as a stream for another pool.",
      mixinStandardHelpOptions = true)
  static final class Send extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT")
    @Nullable String snapshot;

    @Option(
        names = "--from",
        paramLabel = "SNAPSHOT",
        description = "Only what changed since this one, which the receiver has.")
    @Nullable String from;

    @Option(names = "--file", paramLabel = "FILE", description = "Default: the standard output.")
    @Nullable Path file;

    @Option(
        names = "--passphrase-file",
        paramLabel = "FILE",
        description = "Of an encrypted volume.")
    @Nullable Path passphraseFile;

    @Override
    int run(Pool pool) throws IOException {
      Optional<char[]> secret = passphrase(resolved(passphraseFile));
      if (file == null) {
        OutputStream buffered = new BufferedOutputStream(out(), 1 << 16);
        pool.send(given(volume), Optional.ofNullable(from), given(snapshot), secret, buffered);
        buffered.flush();
        if (out().checkError()) {
          throw new IOException("the stream could not be written to its end");
        }
        return 0;
      }
      Path target = resolve(file);
      boolean done = false;
      try (OutputStream stream = Files.newOutputStream(target, StandardOpenOption.CREATE_NEW)) {
        pool.send(given(volume), Optional.ofNullable(from), given(snapshot), secret, stream);
        done = true;
      } catch (java.nio.file.FileAlreadyExistsException exists) {
        done = true;
        throw new IOException(target + " already exists", exists);
      } finally {
        if (!done) {
          Files.deleteIfExists(target);
        }
      }
      return 0;
    }
  }

  /** {@code anillo volume receive}. */
  @Command(
      name = "receive",
      description = "Takes a stream: makes the volume, or brings it up to the sent snapshot.",
      mixinStandardHelpOptions = true)
  static final class Receive extends StorageCommand.OnPool {
    @Parameters(paramLabel = "VOLUME")
    @Nullable String volume;

    @Option(names = "--file", paramLabel = "FILE", description = "Default: the standard input.")
    @Nullable Path file;

    @Option(names = "--rollback", description = "Lose changes made since the snapshot before.")
    boolean rollBack;

    @Mixin VolumeCommand.Layout layout = new VolumeCommand.Layout();

    @Override
    boolean readsInput() {
      return file == null;
    }

    @Override
    int run(Pool pool) throws IOException {
      Optional<char[]> secret = passphrase(resolved(layout.passphraseFile));
      // the size is the stream's
      VolumeSpecification specification = layout.specification(given(volume), 512, secret);
      if (file == null) {
        // not closed: it may be a connection that is to carry the answer back
        pool.receive(input(), specification, rollBack);
        return 0;
      }
      try (InputStream stream = Files.newInputStream(resolve(file))) {
        pool.receive(stream, specification, rollBack);
      }
      return 0;
    }
  }
}
