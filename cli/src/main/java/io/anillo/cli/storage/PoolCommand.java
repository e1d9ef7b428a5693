package io.anillo.cli.storage;

import io.anillo.cli.JsonText;
import io.anillo.storage.disk.Disk;
import io.anillo.storage.disk.FileDisk;
import io.anillo.storage.pool.Pool;
import io.anillo.storage.pool.PoolMaintenance;
import io.anillo.storage.pool.PoolOptions;
import io.anillo.storage.pool.PoolStatus;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code anillo pool}: several disks as one store. */
@Command(
    name = "pool",
    description = "Makes and tends pools of disks. DISK is a file or block device.",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      PoolCommand.Create.class,
      PoolCommand.Status.class,
      PoolCommand.AddDisk.class,
      PoolCommand.RemoveDisk.class,
      PoolCommand.ReplaceDisk.class,
      PoolCommand.Scrub.class,
      PoolCommand.Rebalance.class,
      PoolCommand.Destroy.class
    })
public final class PoolCommand extends StorageCommand.Family {

  /** {@code anillo pool create}. */
  @Command(
      name = "create",
      description = "Makes a pool; what the disks hold is lost.",
      mixinStandardHelpOptions = true)
  static final class Create extends StorageCommand {
    @Parameters(index = "0", paramLabel = "NAME")
    @Nullable String name;

    @Parameters(index = "1..*", arity = "1..*", paramLabel = "DISK")
    List<Path> disks = List.of();

    @Option(
        names = "--make-files",
        paramLabel = "SIZE",
        converter = SizeConverter.class,
        description = "Make sparse files of this size first.")
    @Nullable Long fileBytes;

    @Override
    int run() throws IOException {
      List<Disk> opened = new ArrayList<>();
      boolean done = false;
      try {
        if (fileBytes == null) {
          opened.addAll(Pools.openDisks(disks));
        } else {
          for (Path file : disks) {
            opened.add(FileDisk.create(file, fileBytes));
          }
        }
        create(opened);
        done = true;
      } finally {
        if (!done) {
          Pools.close(opened);
          for (Disk disk : opened) {
            if (fileBytes != null) {
              Files.deleteIfExists(Path.of(disk.name()));
            }
          }
        }
      }
      return 0;
    }

    private void create(List<Disk> opened) throws IOException {
      for (Disk disk : opened) {
        if (Pool.poolOf(disk).isPresent()) {
          throw new IOException(disk.name() + " belongs to a pool already; destroy that first");
        }
      }
      try (Pool pool = Pool.create(given(name), opened, PoolOptions.DEFAULT)) {
        System.out.println("pool " + pool.name() + " of " + opened.size() + " disks is ready");
      }
    }
  }

  /** {@code anillo pool status}. */
  @Command(
      name = "status",
      description = "Shows the disks and volumes of a pool, and where the data lies.",
      mixinStandardHelpOptions = true)
  static final class Status extends StorageCommand.OnPool {
    @Option(names = "--json", description = "As the data of the picture, for programs.")
    boolean json;

    @Override
    int run(Pool pool) throws IOException {
      PoolStatus status = pool.status();
      if (json) {
        out().print(JsonText.of(RecordTree.of(status)));
        return 0;
      }
      out().print(PoolPicture.of(status, 60));
      return 0;
    }
  }

  /** {@code anillo pool add-disk}. */
  @Command(
      name = "add-disk",
      description = "Adds a disk to a pool.",
      mixinStandardHelpOptions = true)
  static final class AddDisk extends StorageCommand.OnPool {
    @Parameters(paramLabel = "NEW")
    @Nullable Path added;

    @Option(names = "--spare", description = "Keep it for when another disk fails.")
    boolean spare;

    @Override
    int run(Pool pool) throws IOException {
      FileDisk disk = FileDisk.open(resolve(given(added)), FileDisk.Mode.READ_WRITE);
      boolean done = false;
      try {
        pool.addDisk(disk, spare);
        done = true;
      } finally {
        if (!done) {
          disk.close();
        }
      }
      return 0;
    }
  }

  /** {@code anillo pool remove-disk}. */
  @Command(
      name = "remove-disk",
      description = "Moves everything off a disk and lets go of it.",
      mixinStandardHelpOptions = true)
  static final class RemoveDisk extends StorageCommand.OnPool {
    @Parameters(paramLabel = "OLD", description = "Its path, number or UUID.")
    @Nullable String removed;

    @Override
    int run(Pool pool) throws IOException {
      pool.removeDisk(diskOf(pool, given(removed)));
      return 0;
    }
  }

  /** {@code anillo pool replace-disk}. */
  @Command(
      name = "replace-disk",
      description = "Rebuilds a disk, present or not, on another.",
      mixinStandardHelpOptions = true)
  static final class ReplaceDisk extends StorageCommand.OnPool {
    @Parameters(index = "0", paramLabel = "OLD", description = "Its path, number or UUID.")
    @Nullable String replaced;

    @Parameters(index = "1", paramLabel = "NEW")
    @Nullable Path replacement;

    @Override
    int run(Pool pool) throws IOException {
      String old = diskOf(pool, given(replaced));
      FileDisk disk = FileDisk.open(resolve(given(replacement)), FileDisk.Mode.READ_WRITE);
      boolean done = false;
      try {
        pool.replaceDisk(old, disk);
        done = true;
      } finally {
        if (!done && pool.status().disks().stream().noneMatch(d -> d.name().equals(disk.name()))) {
          disk.close();
        }
      }
      return 0;
    }
  }

  /** {@code anillo pool scrub}. */
  @Command(
      name = "scrub",
      description = "Checks every copy of every block; ends with 2 if any is lost.",
      mixinStandardHelpOptions = true)
  static final class Scrub extends StorageCommand.OnPool {
    @Override
    int run(Pool pool) throws IOException {
      PoolMaintenance.ScrubResult result = pool.scrub();
      out()
          .println(
              "%d blocks checked, %d copies put right, %d blocks lost"
                  .formatted(result.blocks(), result.healed(), result.lost()));
      return result.lost() > 0 ? 2 : 0;
    }
  }

  /** {@code anillo pool rebalance}. */
  @Command(
      name = "rebalance",
      description = "Moves data from fuller disks to emptier ones.",
      mixinStandardHelpOptions = true)
  static final class Rebalance extends StorageCommand.OnPool {
    @Override
    int run(Pool pool) throws IOException {
      out().println(pool.rebalance() + " slabs have moved");
      return 0;
    }
  }

  /** {@code anillo pool destroy}. */
  @Command(
      name = "destroy",
      description = "Makes the disks forget their pool; its volumes are lost.",
      mixinStandardHelpOptions = true)
  static final class Destroy extends StorageCommand {
    @Parameters(arity = "1..*", paramLabel = "DISK")
    List<Path> disks = List.of();

    @Option(names = "--yes", required = true, description = "Needed, since it cannot be undone.")
    boolean sure;

    @Override
    int run() throws IOException {
      List<Disk> opened = Pools.openDisks(disks);
      try {
        for (Disk disk : opened) {
          if (Pool.poolOf(disk).isEmpty()) {
            throw new IOException(disk.name() + " belongs to no pool; nothing was changed");
          }
        }
        for (Disk disk : opened) {
          disk.write(0, ByteBuffer.allocate((int) Math.min(disk.sizeBytes(), 256 << 10)));
          disk.flush();
        }
      } finally {
        Pools.close(opened);
      }
      return 0;
    }
  }
}
