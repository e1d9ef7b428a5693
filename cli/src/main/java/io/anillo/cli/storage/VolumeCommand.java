package io.anillo.cli.storage;

import io.anillo.storage.block.BlockDevice;
import io.anillo.storage.image.ImageCopy;
import io.anillo.storage.image.Images;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.Redundancy;
import io.anillo.storage.pool.VolumeLimits;
import io.anillo.storage.pool.VolumeSpecification;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo volume}: the volumes of a pool. */
@Command(
    name = "volume",
    description = "Makes and changes the volumes of a pool.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      VolumeCommand.Create.class,
      VolumeCommand.Delete.class,
      VolumeCommand.Resize.class,
      VolumeCommand.Snapshot.class,
      VolumeCommand.DeleteSnapshot.class,
      VolumeCommand.Clone.class,
      VolumeCommand.RollBack.class,
      VolumeCommand.Difference.class,
      VolumeCommand.Limit.class,
      VolumeCommand.Import.class,
      ReplicationCommands.Send.class,
      ReplicationCommands.Receive.class
    })
public final class VolumeCommand extends StorageCommand.Family {

  /** How a new volume is stored. */
  static final class Layout {
    @Option(
        names = "--redundancy",
        paramLabel = "HOW",
        description = "none (default), striped:N, mirror:2, mirror:3 or parity:K+M.")
    String redundancy = "none";

    @Option(names = "--compress", description = "Compress with zstd, in blocks of 64 KiB.")
    boolean compress;

    @Option(names = "--passphrase-file", paramLabel = "FILE", description = "Encrypt with AES-XTS.")
    @Nullable Path passphraseFile;

    @Option(names = "--fail-when-full", description = "Errors instead of waiting for space.")
    boolean failWhenFull;

    VolumeSpecification specification(String name, long bytes, Optional<char[]> secret)
        throws IOException {
      VolumeSpecification specification =
          VolumeSpecification.of(name, bytes, Redundancy.parse(redundancy));
      if (compress) {
        specification = specification.withCompression();
      }
      if (secret.isPresent()) {
        specification = specification.withPassphrase(secret.get());
      }
      return failWhenFull ? specification.failingWhenFull() : specification;
    }
  }

  /** {@code anillo volume create}. */
  @Command(name = "create", description = "Makes a volume.", mixinStandardHelpOptions = true)
  static final class Create extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "NAME")
    @Nullable String name;

    @Parameters(index = "1", paramLabel = "SIZE", converter = SizeConverter.class)
    @Nullable Long bytes;

    @Mixin Layout layout = new Layout();

    @Override
    int run(Pool pool) throws IOException {
      pool.createVolume(
          layout.specification(
              given(name), given(bytes), passphrase(resolved(layout.passphraseFile))));
      return 0;
    }
  }

  /** {@code anillo volume delete}. */
  @Command(
      name = "delete",
      description = "Deletes a volume and its snapshots.",
      mixinStandardHelpOptions = true)
  static final class Delete extends StorageCommand.OnPool {
    @Parameters(paramLabel = "NAME")
    @Nullable String name;

    @Override
    int run(Pool pool) throws IOException {
      pool.deleteVolume(given(name));
      return 0;
    }
  }

  /** {@code anillo volume resize}. */
  @Command(
      name = "resize",
      description = "Changes the size of a volume.",
      mixinStandardHelpOptions = true)
  static final class Resize extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "NAME")
    @Nullable String name;

    @Parameters(index = "1", paramLabel = "SIZE", converter = SizeConverter.class)
    @Nullable Long bytes;

    @Option(names = "--shrink", description = "Needed to cut something off.")
    boolean shrink;

    @Option(
        names = "--passphrase-file",
        paramLabel = "FILE",
        description = "Of an encrypted volume.")
    @Nullable Path passphraseFile;

    @Override
    int run(Pool pool) throws IOException {
      try (BlockDevice volume =
          pool.openVolume(given(name), passphrase(resolved(passphraseFile)))) {
        if (given(bytes) < volume.sizeBytes() && !shrink) {
          throw new IOException("this would cut something off; say --shrink if that is meant");
        }
        volume.resize(given(bytes));
      }
      return 0;
    }
  }

  /** {@code anillo volume snapshot}. */
  @Command(
      name = "snapshot",
      description = "Keeps what a volume holds now.",
      mixinStandardHelpOptions = true)
  static final class Snapshot extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT")
    @Nullable String snapshot;

    @Override
    int run(Pool pool) throws IOException {
      pool.snapshot(given(volume), given(snapshot));
      return 0;
    }
  }

  /** {@code anillo volume delete-snapshot}. */
  @Command(
      name = "delete-snapshot",
      description = "Deletes a snapshot.",
      mixinStandardHelpOptions = true)
  static final class DeleteSnapshot extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT")
    @Nullable String snapshot;

    @Override
    int run(Pool pool) throws IOException {
      pool.deleteSnapshot(given(volume), given(snapshot));
      return 0;
    }
  }

  /** {@code anillo volume clone}. */
  @Command(
      name = "clone",
      description = "Makes a writable volume that begins as a snapshot.",
      mixinStandardHelpOptions = true)
  static final class Clone extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT")
    @Nullable String snapshot;

    @Parameters(index = "2", paramLabel = "NEW")
    @Nullable String made;

    @Override
    int run(Pool pool) throws IOException {
      pool.cloneVolume(given(volume), given(snapshot), given(made));
      return 0;
    }
  }

  /** {@code anillo volume rollback}. */
  @Command(
      name = "rollback",
      description = "Makes a volume what it was at a snapshot.",
      mixinStandardHelpOptions = true)
  static final class RollBack extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT")
    @Nullable String snapshot;

    @Override
    int run(Pool pool) throws IOException {
      pool.rollBack(given(volume), given(snapshot));
      return 0;
    }
  }

  /** {@code anillo volume diff}. */
  @Command(
      name = "diff",
      description = "Lists the ranges that changed between two snapshots.",
      mixinStandardHelpOptions = true)
  static final class Difference extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "VOLUME")
    @Nullable String volume;

    @Parameters(index = "1", paramLabel = "SNAPSHOT", description = "The later one.")
    @Nullable String to;

    @Option(names = "--from", paramLabel = "SNAPSHOT", description = "None: since the beginning.")
    @Nullable String from;

    @Override
    int run(Pool pool) throws IOException {
      pool.difference(
          given(volume),
          Optional.ofNullable(from),
          given(to),
          (offset, length, stored) ->
              out().printf("%16d %10d  %s%n", offset, length, stored ? "data" : "zero"));
      return 0;
    }
  }

  /** {@code anillo volume limit}. */
  @Command(
      name = "limit",
      description = "Sets what a volume may use; 0 is no limit.",
      mixinStandardHelpOptions = true)
  static final class Limit extends StorageCommand.OnPool {
    @Parameters(paramLabel = "VOLUME")
    @Nullable String volume;

    @Option(
        names = "--iops",
        paramLabel = "NUMBER",
        description = "Operations a second; 0: no limit. Not given: as before.")
    @Nullable Long operations;

    @Option(
        names = "--bandwidth",
        paramLabel = "SIZE",
        converter = SizeConverter.class,
        description = "Bytes a second; 0: no limit. Not given: as before.")
    @Nullable Long bytesPerSecond;

    @Option(names = "--none", description = "Lift both limits.")
    boolean none;

    @Override
    int run(Pool pool) throws IOException {
      if (none != (operations == null && bytesPerSecond == null)) {
        throw new IOException("give --iops, --bandwidth or both, or --none");
      }
      VolumeLimits before = pool.limits(given(volume));
      pool.setLimits(
          given(volume),
          none
              ? VolumeLimits.NONE
              : new VolumeLimits(
                  operations == null ? before.operationsPerSecond() : operations,
                  bytesPerSecond == null ? before.bytesPerSecond() : bytesPerSecond));
      return 0;
    }
  }

  /** {@code anillo volume import}. */
  @Command(
      name = "import",
      description = "Fills a volume from a disk image of any format.",
      mixinStandardHelpOptions = true)
  static final class Import extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "IMAGE")
    @Nullable Path image;

    @Parameters(index = "1", paramLabel = "VOLUME")
    @Nullable String volume;

    @Option(
        names = "--passphrase-file",
        paramLabel = "FILE",
        description = "Of an encrypted volume.")
    @Nullable Path passphraseFile;

    @Override
    int run(Pool pool) throws IOException {
      try (BlockDevice source = Images.open(resolve(given(image)), Images.Options.READ_ONLY);
          BlockDevice target =
              pool.openVolume(given(volume), passphrase(resolved(passphraseFile)))) {
        if (target.sizeBytes() < source.sizeBytes()) {
          throw new IOException(
              "the image of %s does not fit the volume of %s"
                  .formatted(size(source.sizeBytes()), size(target.sizeBytes())));
        }
        target.discard(0, target.sizeBytes());
        ImageCopy.copy(source, target, done -> {});
        target.flush();
      }
      return 0;
    }
  }
}
