package io.anillo.vmm.kvm;

import io.anillo.vmm.device.DoorbellKeeper;
import io.anillo.vmm.device.DoorbellRegion;
import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Doorbells that KVM hears ({@code KVM_IOEVENTFD}): a guest's write adds to a counter, and a thread
 * that waits for it goes on the board, while the guest goes on too.
 *
 * <p>One counter serves all: whoever wakes looks at every region. A ring that nobody has heard when
 * a machine is saved is not lost, since {@link #ring} is called when one starts.
 */
public final class KvmDoorbells implements DoorbellKeeper, AutoCloseable {
  private static final int REQUEST_BYTES = 64;

  private final HostSystem system;
  private final int machine;
  private final int counter;
  private final Consumer<Runnable> board;
  private final MemorySegment request;

  /** Guarded by the board's lock. */
  private final List<DoorbellRegion> regions = new ArrayList<>();

  private volatile boolean closed;
  private volatile long heard;
  private final Thread listener;

  /**
   * Begins to listen.
   *
   * @param board carries out an action on the board, from any thread
   * @throws KvmException when this host's KVM hears no doorbells
   */
  KvmDoorbells(KvmVirtualMachine machine, Arena arena, Consumer<Runnable> board)
      throws KvmException {
    this.system = machine.newSystem();
    this.machine = machine.descriptor();
    this.board = board;
    this.request = arena.allocate(REQUEST_BYTES, 8);
    this.counter = system.eventDescriptor();
    if (counter < 0) {
      throw new KvmException("the host has no eventfd, error " + system.errno());
    }
    this.listener = Thread.ofPlatform().daemon().name("doorbells").start(this::listen);
  }

  /** How often somebody woke up for them. */
  public long heard() {
    return heard;
  }

  @SuppressWarnings("NonAtomicOperationOnVolatileField") // only this thread writes
  private void listen() {
    HostSystem own = new HostSystem();
    while (own.awaitEvent(counter) && !closed) {
      heard++;
      board.accept(() -> regions.forEach(DoorbellRegion::rung));
    }
  }

  /** As if all had rung. */
  public void ring() {
    new HostSystem().signalEvent(counter);
  }

  @Override
  public void placed(long base, DoorbellRegion region) {
    regions.add(region);
    change(base, region, 0);
  }

  @Override
  public void removed(long base, DoorbellRegion region) {
    regions.remove(region);
    change(base, region, KvmNumbers.IOEVENTFD_REMOVE);
  }

  private void change(long base, DoorbellRegion region, int flags) {
    for (int offset : region.doorbells()) {
      request.fill((byte) 0);
      request.set(ValueLayout.JAVA_LONG, 8, base + offset);
      request.set(ValueLayout.JAVA_INT, 20, counter);
      request.set(ValueLayout.JAVA_INT, 24, flags);
      // Where KVM refuses one (its table is full), the write goes on to come to us as any other.
      system.ioctl(machine, KvmNumbers.IOEVENTFD, request);
    }
  }

  @Override
  public void close() {
    closed = true;
    ring();
    boolean interrupted = false;
    while (listener.isAlive()) {
      try {
        listener.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    system.close(counter);
  }
}
