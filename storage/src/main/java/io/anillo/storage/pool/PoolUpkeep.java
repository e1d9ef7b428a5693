package io.anillo.storage.pool;

import io.anillo.storage.pool.PoolEvent.Kind;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * What a pool does beside its callers: it commits now and then, rebuilds onto spares and scrubs. It
 * also holds writers up when they get too far ahead of it, and when there is no space for them.
 */
final class PoolUpkeep {
  private static final int LOG_BYTES_PER_COMMIT = 2 << 20;
  private static final int DIRTY_LEAVES_PER_COMMIT = 8192;

  /** Freed space that may wait for a commit: at most, and of what would be free after one. */
  private static final long FREED_BYTES_PER_COMMIT = 4L << 30;

  private static final double FREED_SHARE_PER_COMMIT = 0.75;

  /** From one commit to the next: at least, and at most however long a commit takes. */
  private static final long COMMIT_INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(5);

  private static final long LONGEST_COMMIT_INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(30);

  /** Commits that nobody asked for take at most one part of the time in so many. */
  private static final int COMMIT_SHARE = 20;

  /** How far writers may run ahead of the background, in what it is told to commit at. */
  private static final int AHEAD = 3;

  private static final Duration FULL_WAIT = Duration.ofMillis(200);

  private final PoolState state;
  private final Committer committer;
  private final PoolMaintenance maintenance;
  private final @Nullable Thread background;
  private final Duration scrubInterval;

  private final AtomicBoolean fullTold = new AtomicBoolean();

  /** Rung to let the background look at once. */
  private final Semaphore bell = new Semaphore(0);

  private volatile boolean closing;

  private volatile long freedUnitsPerCommit;

  /** When the background scrubs next; of its thread alone. */
  private long scrubAt;

  /**
   * Nothing runs before {@link #start}.
   *
   * @param wantsScrub whether a disk may be stale, so that a scrub is due at once
   */
  PoolUpkeep(
      PoolState state,
      Committer committer,
      PoolMaintenance maintenance,
      PoolOptions options,
      boolean wantsScrub) {
    this.state = state;
    this.committer = committer;
    this.maintenance = maintenance;
    this.scrubInterval = options.scrubInterval();
    this.scrubAt = System.nanoTime() + (wantsScrub ? 0 : scrubInterval.toNanos());
    this.freedUnitsPerCommit = freedUnitsPerCommit();
    this.background =
        options.background()
            ? Thread.ofPlatform().daemon().name("pool-" + state.name).unstarted(this::tend)
            : null;
  }

  /** Begins to work in the background, if the options say so. */
  void start() {
    if (background != null) {
      background.start();
    }
  }

  /** Ends the background, and writers that wait for space with an error; false if it has ended. */
  boolean end() {
    if (closing) {
      return false;
    }
    closing = true;
    if (background != null) {
      bell.release();
      try {
        background.join();
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    return true;
  }

  private long freedUnitsPerCommit() {
    double costs = 1;
    synchronized (state.volumes) {
      for (VolumeRecord volume : state.volumes.values()) {
        Redundancy redundancy = volume.redundancy();
        costs = Math.max(costs, (double) redundancy.width() / redundancy.data());
      }
    }
    long units = state.pending.freedUnits() + state.allocator.freeUnits(costs);
    return Math.min(
        FREED_BYTES_PER_COMMIT / BlockPointer.UNIT_BYTES, (long) (units * FREED_SHARE_PER_COMMIT));
  }

  /** What was not flushed may be lost with the process for as long. */
  private static long untilNextCommit(long lastOneTookNanos) {
    return Math.clamp(
        COMMIT_SHARE * lastOneTookNanos, COMMIT_INTERVAL_NANOS, LONGEST_COMMIT_INTERVAL_NANOS);
  }

  private void tend() {
    long commitAt = System.nanoTime() + COMMIT_INTERVAL_NANOS;
    while (!closing) {
      try {
        // an interrupt would close the files of disks that are being read
        bell.tryAcquire(1, TimeUnit.SECONDS);
        bell.drainPermits();
        if (closing) {
          return;
        }
        if (state.takeSpareWanted()) {
          maintenance.rebuildOntoSpares();
        }
        freedUnitsPerCommit = freedUnitsPerCommit();
        boolean due = System.nanoTime() - commitAt >= 0;
        if (exceeds(1) || (due && state.anythingPending())) {
          long began = System.nanoTime();
          committer.commit();
          commitAt = System.nanoTime() + untilNextCommit(System.nanoTime() - began);
        } else if (due) {
          commitAt = System.nanoTime() + COMMIT_INTERVAL_NANOS;
        }
        if (System.nanoTime() - scrubAt >= 0) {
          maintenance.scrub(true, () -> closing);
          scrubAt = System.nanoTime() + scrubInterval.toNanos();
        }
      } catch (InterruptedException ended) {
        return;
      } catch (IOException failure) {
        if (closing) {
          return;
        }
        state.listener.event(
            new PoolEvent(Kind.DISK_FAILED, state.name, String.valueOf(failure.getMessage())));
      }
    }
  }

  /**
   * Keeps what waits in memory within bounds. The background does the work while writers go on;
   * only when they get too far ahead of it they wait.
   */
  void relieve() throws IOException {
    int times = background == null ? 1 : AHEAD;
    if (exceeds(times)) {
      committer.relieve(() -> exceeds(times));
    } else if (times > 1 && bell.availablePermits() == 0 && exceeds(1)) {
      bell.release();
    }
  }

  private boolean exceeds(int times) {
    return state.dirtyLeaves.get() > times * DIRTY_LEAVES_PER_COMMIT
        || state.pending.size() > times * LOG_BYTES_PER_COMMIT
        || state.pending.freedUnits() > times * freedUnitsPerCommit;
  }

  /** Takes space for a write, waiting for it if the pool is full. */
  SpaceAllocator.Run allocate(VolumeRecord volume, int blockUnits, int wanted) throws IOException {
    boolean waited = false;
    while (true) {
      SpaceAllocator.Run run = allocateNow(volume.redundancy(), blockUnits, wanted);
      if (run != null) {
        if (waited) {
          fullTold.set(false);
        }
        return run;
      }
      state.requireWorking();
      if (volume.failWhenFull()) {
        throw new IOException("No space left in pool " + state.name);
      }
      if (closing) {
        throw new IOException("pool " + state.name + " was closed while a write waited for space");
      }
      requireDisks(volume.redundancy());
      waited = true;
      // many writes may wait at once; one event is enough until there is space again
      if (fullTold.compareAndSet(false, true)) {
        state.listener.event(
            new PoolEvent(
                Kind.FULL,
                state.name,
                "volume " + volume.name() + " waits for space: add a disk or delete something"));
      }
      state.allocator.awaitSpace(FULL_WAIT.toMillis());
    }
  }

  /** Takes space, also such that has to be got back first; null when the pool is full. */
  private SpaceAllocator.@Nullable Run allocateNow(
      Redundancy redundancy, int blockUnits, int wanted) throws IOException {
    SpaceAllocator.Run run = state.allocator.allocate(redundancy, blockUnits, wanted);
    if (run == null && state.pending.freedUnits() > 0) {
      committer.commit();
      run = state.allocator.allocate(redundancy, blockUnits, wanted);
    }
    if (run == null && maintenance.dissolveEmptyGroups()) {
      run = state.allocator.allocate(redundancy, blockUnits, wanted);
    }
    return run;
  }

  /** Throws when too few disks work for anything to be written, now or after a deletion. */
  private void requireDisks(Redundancy redundancy) throws IOException {
    int usable = 0;
    for (PoolDisk disk : state.disks()) {
      usable += disk.usable() ? 1 : 0;
    }
    if (usable < redundancy.data()) {
      throw new IOException(
          "only %d disks of pool %s work; %s needs %d"
              .formatted(usable, state.name, redundancy, redundancy.data()));
    }
  }
}
