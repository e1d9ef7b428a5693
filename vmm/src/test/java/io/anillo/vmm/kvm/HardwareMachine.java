package io.anillo.vmm.kvm;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.CpuStateRecord;
import io.anillo.vmm.cpu.ExitCounters;
import io.anillo.vmm.host.HostSystem;
import io.anillo.vmm.state.StateReader;
import io.anillo.vmm.state.StateWriter;
import io.anillo.vmm.x86.interpret.SmallMachine;
import java.util.function.Supplier;

/**
 * The processor of a {@link SmallMachine} moved to KVM, over the same memory. Tests that make one
 * are skipped where there is no KVM.
 */
final class HardwareMachine implements AutoCloseable {
  final SmallMachine small;
  final NotedBus bus = new NotedBus();
  final ExitCounters exits = new ExitCounters();
  final KvmVirtualMachine machine;
  final KvmCpu cpu;

  HardwareMachine(SmallMachine small) throws KvmException {
    this(small, HostSystem::new);
  }

  /**
   * On a host of one's own.
   *
   * @param host makes the calls of a thread
   */
  HardwareMachine(SmallMachine small, Supplier<HostSystem> host) throws KvmException {
    this.small = small;
    KvmVirtualMachine opened;
    try {
      opened = KvmVirtualMachine.open(small.memory, host);
    } catch (KvmException e) {
      assumeTrue(false, "the hardware cannot be used: " + e.getMessage());
      throw e;
    }
    machine = opened;
    cpu =
        new KvmCpu(
            0,
            machine,
            KvmCpu.modelFor(CpuModel.anilloV2(1), machine),
            () -> 0,
            bus,
            small.controller,
            exits);
    move(small.state, cpu.state());
    cpu.stateReplaced();
  }

  static byte[] bytes(CpuState state) {
    StateWriter out = new StateWriter();
    CpuStateRecord.save(state, out);
    return out.toByteArray();
  }

  static void move(CpuState from, CpuState to) {
    CpuStateRecord.restore(to, new StateReader(bytes(from)));
  }

  /** Takes the state back to the interpreter. */
  void moveBack() {
    cpu.settleSignals();
    move(cpu.state(), small.state);
    small.cpu.stateReplaced();
  }

  @Override
  public void close() {
    cpu.close();
    machine.close();
  }
}
