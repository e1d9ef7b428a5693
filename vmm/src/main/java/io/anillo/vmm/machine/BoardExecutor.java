package io.anillo.vmm.machine;

import io.anillo.vmm.device.Board;
import io.anillo.vmm.device.BoardTimer;
import io.anillo.vmm.device.EventChannel;
import io.anillo.vmm.device.MachineRequest;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.port.Clock;
import io.anillo.vmm.port.EntropySource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The board: the one place where what happens outside becomes visible to the guest. Payloads are
 * posted from any thread and timers fall due, but both only kick a processor; its thread applies
 * them in {@link #runPending}, at an instruction boundary and under the board's lock.
 *
 * <p>With an {@link EventRecorder} everything applied is written down with its instruction count,
 * and so is every reading of the clock and of entropy. With an {@link EventReplayer} nothing enters
 * from outside: the recording is applied instead, and {@link #nextEventInstruction} tells how far
 * the processor may run before it has to ask.
 */
public final class BoardExecutor implements Board, AutoCloseable {
  private final ExclusiveSection section = new ExclusiveSection();
  private final BoardLock lock = section.boardLock();
  private final GuestMemory memory;
  private final SystemBus bus = new SystemBus(lock);
  private final VirtualClock clock;
  private final EntropySource entropy;
  private final ExternalWork external = new ExternalWork();
  private final HostTimer hostTimer;
  private final @Nullable EventRecorder recorder;
  private final @Nullable EventReplayer replayer;
  private final long wallOriginNanos;

  private final Map<String, Channel> channels = new HashMap<>();
  private final Map<String, Timer> timersByName = new HashMap<>();
  private final List<Timer> timers = new ArrayList<>();
  private final ConcurrentLinkedQueue<Posted> posted = new ConcurrentLinkedQueue<>();
  private volatile long earliestDeadline = HostTimer.NEVER;
  private volatile Runnable kick = () -> {};

  /** The deadline that a reading of the clock last kicked for; a lost update costs a kick. */
  private long toldOverdue = HostTimer.NEVER;

  private volatile @Nullable MachineRequest request;
  private volatile LongSupplier instructions = () -> 0;
  private long payloadsApplied;
  private long timersExpired;

  private record Posted(Channel channel, byte[] payload) {}

  /** How much the board applied. */
  public record Metrics(long payloadsApplied, long timersExpired) {}

  /** A board that lives in real time and is not recorded. */
  public static BoardExecutor live(GuestMemory memory, Clock clock, EntropySource entropy) {
    return new BoardExecutor(memory, clock, entropy, null, null);
  }

  /** A board whose run is recorded; the machine must have one processor. */
  public static BoardExecutor recording(
      GuestMemory memory, Clock clock, EntropySource entropy, EventRecorder recorder) {
    return new BoardExecutor(memory, clock, entropy, recorder, null);
  }

  /** A board that replays a recording; the machine must be configured as the recorded one was. */
  public static BoardExecutor replaying(GuestMemory memory, EventReplayer replayer) {
    return new BoardExecutor(memory, Clock.system(), bytes -> {}, null, replayer);
  }

  private BoardExecutor(
      GuestMemory memory,
      Clock clock,
      EntropySource entropy,
      @Nullable EventRecorder recorder,
      @Nullable EventReplayer replayer) {
    this.memory = memory;
    this.clock = new VirtualClock(clock);
    this.entropy = entropy;
    this.recorder = recorder;
    this.replayer = replayer;
    this.wallOriginNanos = replayer != null ? replayer.wallOriginNanos() : clock.wallNanos();
    this.hostTimer = new HostTimer(this.clock, () -> earliestDeadline, () -> kick.run());
    if (recorder != null) {
      recorder.begin(wallOriginNanos, () -> instructions.getAsLong());
    }
  }

  // ---- the machine's side
  // -------------------------------------------------------------------------------------------

  /** Names the processor to be kicked when there is work for the board. */
  public void setKick(Runnable newKick) {
    kick = newKick;
  }

  /** Names the counter of instructions retired by processor 0; needed for a replay. */
  public void setInstructionCounter(LongSupplier counter) {
    instructions = counter;
  }

  public ExclusiveSection exclusiveSection() {
    return section;
  }

  public BoardLock lock() {
    return lock;
  }

  public SystemBus systemBus() {
    return bus;
  }

  public VirtualClock clock() {
    return clock;
  }

  public Metrics metrics() {
    return new Metrics(payloadsApplied, timersExpired);
  }

  public boolean recording() {
    return recorder != null;
  }

  public boolean replaying() {
    return replayer != null;
  }

  /** Lets time run and timers fall due. */
  public void startTime() {
    clock.start();
    if (replayer == null) {
      hostTimer.start();
      hostTimer.deadlineChanged();
    }
  }

  /** Stops time. To be called with all processors stopped. */
  public void pauseTime() {
    clock.pause();
  }

  /**
   * Applies what was posted and expires what is due. Called by a processor's thread at an
   * instruction boundary; with several processors, by any of them.
   *
   * @return whether anything was applied
   */
  public boolean runPending() {
    if (replayer != null) {
      return replayPending(replayer);
    }
    if (!hasPending()) {
      return false;
    }
    lock.acquire();
    try {
      external.throwFailure();
      boolean any = false;
      for (Posted next = posted.poll(); next != null; next = posted.poll()) {
        apply(next);
        any = true;
      }
      long now = clock.nanos();
      for (Timer due = earliest(); due != null && due.deadline <= now; due = earliest()) {
        expire(due);
        any = true;
      }
      return any;
    } finally {
      lock.release();
    }
  }

  /** Whether {@link #runPending} would find something to do. Callable from any thread. */
  public boolean hasPending() {
    if (replayer != null) {
      return !replayer.finished() && replayer.nextInstruction() <= instructions.getAsLong();
    }
    long earliest = earliestDeadline;
    return !posted.isEmpty()
        || external.failed()
        || earliest != HostTimer.NEVER && clock.running() && earliest <= clock.nanos();
  }

  private void apply(Posted next) {
    if (recorder != null) {
      recorder.payload(next.channel.name, next.payload);
    }
    payloadsApplied++;
    next.channel.handler.apply(next.payload);
  }

  private void expire(Timer timer) {
    if (recorder != null) {
      recorder.expiry(timer.name);
    }
    timersExpired++;
    timer.armed = false;
    timer.deadline = 0;
    updateEarliest();
    timer.onExpiry.run();
  }

  private boolean replayPending(EventReplayer source) {
    lock.acquire();
    try {
      boolean any = false;
      long now = instructions.getAsLong();
      while (!source.finished() && source.nextInstruction() <= now) {
        if (source.nextInstruction() < now) {
          throw new EventReplayer.Divergence(
              "instruction "
                  + now
                  + " is reached, but an event belongs to "
                  + source.nextInstruction());
        }
        EventReplayer.Event event = source.peek();
        source.take();
        switch (event) {
          case EventReplayer.Event.Payload payload -> {
            Channel channel = channels.get(payload.channel());
            if (channel == null) {
              throw new EventReplayer.Divergence(
                  "this machine has no channel '" + payload.channel() + "'");
            }
            apply(new Posted(channel, payload.bytes()));
          }
          case EventReplayer.Event.Expiry expiry -> {
            Timer timer = timersByName.get(expiry.timer());
            if (timer == null || !timer.armed) {
              throw new EventReplayer.Divergence("timer '" + expiry.timer() + "' is not armed");
            }
            expire(timer);
          }
          case EventReplayer.Event.End end -> throw new AssertionError(end);
        }
        any = true;
      }
      return any;
    } finally {
      lock.release();
    }
  }

  /**
   * During a replay, the instruction count at which the next recorded event is to be applied: the
   * processor runs up to there and then calls {@link #runPending}. At the recording's end it is the
   * count where the recording stopped. Otherwise Long.MAX_VALUE.
   */
  public long nextEventInstruction() {
    return replayer == null ? Long.MAX_VALUE : replayer.nextInstruction();
  }

  /** Whether a replay has applied everything that was recorded. */
  public boolean replayFinished() {
    return replayer != null && replayer.finished();
  }

  /**
   * Virtual nanoseconds until the next timer falls due: 0 when one is due, Long.MAX_VALUE when none
   * is armed.
   */
  public long nanosUntilNextDeadline() {
    long earliest = earliestDeadline;
    return earliest == HostTimer.NEVER ? Long.MAX_VALUE : Math.max(0, earliest - clock.nanos());
  }

  /** The request that ends the run, taken; empty when there is none. */
  public java.util.Optional<MachineRequest> takeRequest() {
    MachineRequest taken = request;
    request = null;
    return java.util.Optional.ofNullable(taken);
  }

  /** Whether a device has asked for the end of the run. */
  public boolean requestPending() {
    return request != null;
  }

  /**
   * Waits until no external work is under way and all it posted is applied. To be called with all
   * processors stopped, before devices are saved.
   */
  public void quiesce() {
    do {
      external.awaitIdle();
      runPending();
    } while (external.busy() || !posted.isEmpty());
  }

  /** Stops the host's timer thread and closes a recording. */
  @Override
  public void close() {
    hostTimer.close();
    external.close();
    if (recorder != null) {
      recorder.close();
    }
  }

  // ---- the devices' side
  // --------------------------------------------------------------------------------------------

  @Override
  public long nowNanos() {
    if (replayer != null) {
      return replayer.nextClock();
    }
    long now = clock.nanos();
    if (recorder != null) {
      recorder.clock(now);
    }
    long earliest = earliestDeadline;
    if (earliest <= now && earliest != toldOverdue) {
      // Who sees this moment is to see what was due before it, even if the host's timer thread has
      // not run yet.
      toldOverdue = earliest;
      kick.run();
    }
    return now;
  }

  @Override
  public long wallOriginNanos() {
    return wallOriginNanos;
  }

  @Override
  public GuestMemory memory() {
    return memory;
  }

  @Override
  public SystemBus bus() {
    return bus;
  }

  @Override
  public EntropySource entropy() {
    return this::fillEntropy;
  }

  private void fillEntropy(byte[] destination) {
    if (replayer != null) {
      replayer.fillEntropy(destination);
      return;
    }
    entropy.fill(destination);
    if (recorder != null) {
      recorder.entropy(destination);
    }
  }

  @Override
  public BoardTimer timer(String name, Runnable onExpiry) {
    Timer timer = new Timer(name, onExpiry);
    if (timersByName.putIfAbsent(name, timer) != null) {
      throw new IllegalArgumentException("the board already has a timer '" + name + "'");
    }
    timers.add(timer);
    return timer;
  }

  @Override
  public EventChannel channel(String name, EventChannel.Handler handler) {
    Channel channel = new Channel(name, handler);
    if (channels.putIfAbsent(name, channel) != null) {
      throw new IllegalArgumentException("the board already has a channel '" + name + "'");
    }
    return channel;
  }

  @Override
  public void request(MachineRequest newRequest) {
    if (request == null) {
      request = newRequest;
    }
    kick.run();
  }

  private final class Channel implements EventChannel {
    private final String name;
    private final Handler handler;

    Channel(String name, Handler handler) {
      this.name = name;
      this.handler = handler;
    }

    @Override
    public void post(byte[] payload) {
      if (replayer == null) {
        posted.add(new Posted(this, payload));
        kick.run();
      }
    }

    @Override
    public void startExternal(Runnable work) {
      if (replayer == null) {
        external.start(work, kick);
      }
    }
  }

  // ---- timers
  // -------------------------------------------------------------------------------------------------------

  /**
   * Timers are few (about ten): the earliest is found by looking at all of them. Ties go to the
   * older timer.
   */
  private @Nullable Timer earliest() {
    Timer found = null;
    for (int i = 0; i < timers.size(); i++) {
      Timer timer = timers.get(i);
      if (timer.armed && (found == null || timer.deadline < found.deadline)) {
        found = timer;
      }
    }
    return found;
  }

  private void updateEarliest() {
    Timer first = earliest();
    earliestDeadline = first == null ? HostTimer.NEVER : first.deadline;
    if (replayer == null) {
      hostTimer.deadlineChanged();
    }
  }

  private final class Timer implements BoardTimer {
    private final String name;
    private final Runnable onExpiry;
    private boolean armed;
    private long deadline;

    Timer(String name, Runnable onExpiry) {
      this.name = name;
      this.onExpiry = onExpiry;
    }

    @Override
    public void arm(long deadlineNanos) {
      armed = true;
      deadline = deadlineNanos;
      updateEarliest();
    }

    @Override
    public void cancel() {
      if (armed) {
        armed = false;
        deadline = 0;
        updateEarliest();
      }
    }

    @Override
    public boolean armed() {
      return armed;
    }

    @Override
    public long deadlineNanos() {
      return deadline;
    }
  }
}
