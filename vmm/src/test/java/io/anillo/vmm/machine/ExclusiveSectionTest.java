package io.anillo.vmm.machine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class ExclusiveSectionTest {
  private final ExclusiveSection section = new ExclusiveSection();
  private final BoardLock lock = section.boardLock();

  /** Threads inside guest code, not counting those that wait. */
  private final AtomicInteger running = new AtomicInteger();

  private final AtomicInteger exclusive = new AtomicInteger();
  private final AtomicInteger violations = new AtomicInteger();
  private volatile boolean finished;

  /**
   * A processor that computes, reaches for the bus, and asks for the section in the middle of it
   * all.
   */
  private final class Processor implements Runnable, Stoppable {
    private final ExclusiveSection.Participant participant = section.register(this);
    private final SplittableRandom random;
    private volatile boolean stop;
    long stretches;
    int sections;

    Processor(int seed) {
      random = new SplittableRandom(seed);
    }

    @Override
    public void stopAtBoundary() {
      stop = true;
    }

    @Override
    public void run() {
      while (!finished) {
        stop = false;
        participant.enter();
        running.incrementAndGet();
        while (!stop && !finished) {
          instruction();
        }
        running.decrementAndGet();
        participant.leave();
        stretches++;
      }
    }

    private void instruction() {
      if (exclusive.get() != 0) {
        violations.incrementAndGet();
      }
      switch (random.nextInt(200)) {
        case 0 -> {
          running.decrementAndGet();
          section.run(this::alone);
          running.incrementAndGet();
        }
        case 1 -> {
          running.decrementAndGet();
          lock.acquire();
          section.run(this::alone);
          lock.release();
          running.incrementAndGet();
        }
        case 2, 3, 4, 5, 6, 7, 8, 9 -> {
          running.decrementAndGet();
          lock.acquire();
          running.incrementAndGet();
          Thread.onSpinWait();
          lock.release();
        }
        default -> Thread.onSpinWait();
      }
    }

    private void alone() {
      check();
      section.run(ExclusiveSectionTest.this::check); // nested
      sections++;
    }
  }

  private void check() {
    if (exclusive.incrementAndGet() > 2 || running.get() != 0) {
      violations.incrementAndGet();
    }
    Thread.onSpinWait();
    exclusive.decrementAndGet();
  }

  @Test
  @Timeout(60)
  void processorsAndOutsidersExcludeEachOtherWithoutDeadlock() throws InterruptedException {
    List<Processor> processors = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Processor processor = new Processor(i);
      processors.add(processor);
      threads.add(Thread.ofPlatform().start(processor));
    }
    int[] boundaries = new int[2];
    threads.add(
        Thread.ofPlatform()
            .start(() -> {
              while (!finished) {
                section.runAtBoundary(this::check);
                boundaries[0]++;
              }
            }));
    threads.add(
        Thread.ofPlatform()
            .start(() -> {
              while (!finished) {
                section.run(this::check);
                boundaries[1]++;
              }
            }));
    Thread.sleep(700);
    finished = true;
    for (Thread thread : threads) {
      thread.join(20_000);
      assertThat(thread.isAlive()).as("a thread is stuck").isFalse();
    }
    assertThat(violations).hasValue(0);
    assertThat(boundaries[0]).isPositive();
    assertThat(boundaries[1]).isPositive();
    assertThat(processors).allMatch(processor -> processor.sections > 0 && processor.stretches > 0);
  }

  @Test
  void oneProcessorOnItsOwnThreadIsADirectCall() {
    ExclusiveSection.Participant participant = section.register(() -> {});
    participant.enter();
    List<String> calls = new ArrayList<>();
    section.run(() -> calls.add(Thread.currentThread().getName()));
    participant.leave();
    assertThat(calls).containsExactly(Thread.currentThread().getName());
  }
}
