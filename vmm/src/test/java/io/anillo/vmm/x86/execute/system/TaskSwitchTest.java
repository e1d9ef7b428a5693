package io.anillo.vmm.x86.execute.system;

import static io.anillo.vmm.cpu.CpuState.CS;
import static io.anillo.vmm.cpu.CpuState.DS;
import static io.anillo.vmm.cpu.CpuState.FS;
import static io.anillo.vmm.cpu.CpuState.IF;
import static io.anillo.vmm.cpu.CpuState.LDTR;
import static io.anillo.vmm.cpu.CpuState.NT;
import static io.anillo.vmm.cpu.CpuState.RAX;
import static io.anillo.vmm.cpu.CpuState.RDI;
import static io.anillo.vmm.cpu.CpuState.RF;
import static io.anillo.vmm.cpu.CpuState.RSP;
import static io.anillo.vmm.cpu.CpuState.SS;
import static io.anillo.vmm.cpu.CpuState.TR;
import static io.anillo.vmm.cpu.CpuState.VM;
import static io.anillo.vmm.x86.execute.GuestFault.GENERAL_PROTECTION;
import static io.anillo.vmm.x86.execute.GuestFault.INVALID_TSS;
import static io.anillo.vmm.x86.execute.GuestFault.PAGE_FAULT;
import static io.anillo.vmm.x86.execute.GuestFault.SEGMENT_NOT_PRESENT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.GuestFault;
import org.junit.jupiter.api.Test;

class TaskSwitchTest {
  private static final int OTHER = 0x110, GATE = 0x120;
  private static final long OTHER_TSS = 0x6000, OTHER_STACK = 0xC000;

  /** A guest in ring 0 with a second task, whose TSS is of 32 bits. */
  private static Guest guest() {
    Guest guest = Guest.protected32(0);
    guest.descriptor(OTHER, OTHER_TSS, 0x67, 0x89);
    guest.write(TestProcessor.GDT + GATE, 8, Guest.gate(OTHER, 0, 0x85, 0));
    task(guest, 0x20, 0x7000);
    task(guest, 0x24, IF | 2);
    task(guest, 0x28, 0xA0A0);
    task(guest, 0x38, OTHER_STACK);
    task(guest, 0x44, 0xD1D1);
    task(guest, 0x48, Guest.DATA0);
    task(guest, 0x4C, Guest.CODE0);
    task(guest, 0x50, Guest.DATA0);
    task(guest, 0x54, Guest.DATA0);
    task(guest, 0x60, Guest.LDT_SELECTOR);
    return guest;
  }

  private static void task(Guest guest, int offset, long value) {
    guest.write(OTHER_TSS + offset, 4, value);
  }

  private static long accessByte(Guest guest, int selector) {
    return guest.read(TestProcessor.GDT + selector + 5, 1);
  }

  @Test
  void callSavesTheOldTaskAndIretReturnsToIt() {
    Guest guest = guest();
    guest.state.general[RAX] = 0x1111;
    guest.state.general[RDI] = 0x7777;
    FarTransfer.call(guest.processor, OTHER, 0, 4, 0x1007);
    assertThat(guest.state.rip).isEqualTo(0x7000);
    assertThat(guest.state.general[RAX]).isEqualTo(0xA0A0);
    assertThat(guest.state.general[RDI]).isEqualTo(0xD1D1);
    assertThat(guest.state.general[RSP]).isEqualTo(OTHER_STACK);
    assertThat(guest.state.rflags()).isEqualTo(IF | NT | 2);
    assertThat(guest.state.segmentSelector[TR]).isEqualTo(OTHER);
    assertThat(guest.state.segmentBase[LDTR]).isEqualTo(TestProcessor.LDT);
    assertThat(guest.state.segmentAccess[FS]).isEqualTo(CpuState.ACCESS_UNUSABLE);
    assertThat(guest.state.cr0 & CpuState.CR0_TS).isNotZero();
    assertThat(guest.read(OTHER_TSS, 2)).isEqualTo(Guest.TSS_SELECTOR);
    assertThat(accessByte(guest, OTHER)).isEqualTo(0x8B);
    assertThat(accessByte(guest, Guest.TSS_SELECTOR)).isEqualTo(0x8B);
    assertThat(guest.read(TestProcessor.TSS + 0x20, 4)).isEqualTo(0x1007);
    assertThat(guest.read(TestProcessor.TSS + 0x28, 4)).isEqualTo(0x1111);
    assertThat(guest.read(TestProcessor.TSS + 0x44, 4)).isEqualTo(0x7777);
    assertThat(guest.read(TestProcessor.TSS + 0x4C, 2)).isEqualTo(Guest.CODE0);

    FarReturn.interruptReturn(guest.processor, 4, 0x7001);
    assertThat(guest.state.rip).isEqualTo(0x1007);
    assertThat(guest.state.general[RAX]).isEqualTo(0x1111);
    assertThat(guest.state.segmentSelector[TR]).isEqualTo(Guest.TSS_SELECTOR);
    assertThat(accessByte(guest, OTHER)).isEqualTo(0x89);
    assertThat(accessByte(guest, Guest.TSS_SELECTOR)).isEqualTo(0x8B);
    assertThat(guest.read(OTHER_TSS + 0x20, 4)).isEqualTo(0x7001);
    assertThat(guest.read(OTHER_TSS + 0x24, 4)).isEqualTo(IF | 2);
  }

  @Test
  void jumpThroughATaskGateLeavesNoLink() {
    Guest guest = guest();
    FarTransfer.jump(guest.processor, GATE, 0, 0x1007);
    assertThat(guest.state.rflags() & NT).isZero();
    assertThat(accessByte(guest, Guest.TSS_SELECTOR)).isEqualTo(0x89);
    assertThat(guest.read(OTHER_TSS, 2)).isZero();
  }

  @Test
  void exceptionThroughATaskGatePushesItsErrorCodeOnTheNewStack() {
    Guest guest = guest();
    guest.write(TestProcessor.IDT + 13 * 8, 8, Guest.gate(OTHER, 0, 0x85, 0));
    guest.state.rip = 0x4444;
    assertThat(InterruptDelivery.exception(guest.processor, GENERAL_PROTECTION, 0x28)).isTrue();
    assertThat(guest.state.general[RSP]).isEqualTo(OTHER_STACK - 4);
    assertThat(guest.stack(4, 1)).containsExactly(0x28);
    assertThat(guest.read(TestProcessor.TSS + 0x20, 4)).isEqualTo(0x4444);
    assertThat(guest.read(TestProcessor.TSS + 0x24, 4)).isEqualTo(RF | 2);
    assertThat(guest.state.rflags() & NT).isNotZero();
  }

  @Test
  void sixteenBitTask() {
    Guest guest = guest();
    guest.descriptor(OTHER, OTHER_TSS, 0x2B, 0x81);
    long[] words = {0x1234, 2, 0xAAAA, 1, 2, 3, 0x4000, 5, 6, 7, 0, 0x58, 0x60, 0x10, 0};
    for (int i = 0; i < words.length; i++) {
      guest.write(OTHER_TSS + 0x0E + 2L * i, 2, words[i]);
    }
    FarTransfer.call(guest.processor, OTHER, 0, 4, 0x1007);
    assertThat(guest.state.rip).isEqualTo(0x1234);
    assertThat(guest.state.general[RAX]).isEqualTo(0xAAAA);
    assertThat(guest.state.general[RSP]).isEqualTo(0x4000);
    assertThat(guest.state.segmentSelector[CS]).isEqualTo(Guest.CODE16_0);
    assertThat(guest.state.segmentSelector[SS]).isEqualTo(Guest.DATA16_0);
    assertThat(guest.state.segmentSelector[DS]).isEqualTo(Guest.DATA0);
    FarReturn.interruptReturn(guest.processor, 2, 0x1235);
    assertThat(guest.read(OTHER_TSS + 0x0E, 2)).isEqualTo(0x1235);
    assertThat(guest.state.rip).isEqualTo(0x1007);
  }

  @Test
  void taskInVirtual8086Mode() {
    Guest guest = guest();
    task(guest, 0x24, VM | 2);
    task(guest, 0x4C, 0xF000);
    task(guest, 0x50, 0x9000);
    FarTransfer.jump(guest.processor, OTHER, 0, 0x1007);
    assertThat(guest.state.privilege).isEqualTo(3);
    assertThat(guest.state.segmentBase[CS]).isEqualTo(0xF0000);
    assertThat(guest.state.segmentBase[SS]).isEqualTo(0x90000);
  }

  @Test
  void pagingTaskLoadsCr3AndItsDirectoryPointers() {
    Guest guest = guest();
    guest.state.cr0 |= CpuState.CR0_PG;
    guest.state.cr4 |= CpuState.CR4_PAE;
    task(guest, 0x1C, 0xD020);
    guest.write(0xD020, 8, 0x1E001);
    FarTransfer.jump(guest.processor, OTHER, 0, 0x1007);
    assertThat(guest.state.cr3).isEqualTo(0xD020);
    assertThat(guest.state.pdptes[0]).isEqualTo(0x1E001);
    assertThat(guest.processor.told).contains("address space flushed");
  }

  @Test
  void trapBitRaisesADebugConditionAndLocalBreakpointsAreCleared() {
    Guest guest = guest();
    task(guest, 0x64, 1);
    guest.state.debug[7] = 0x4FF;
    FarTransfer.jump(guest.processor, OTHER, 0, 0x1007);
    assertThat(guest.state.pendingDebug).isEqualTo(DebugRegisters.TASK_SWITCH);
    assertThat(guest.state.debug[7]).isEqualTo(0x4AA);
  }

  @Test
  void faultsBeforeTheSwitchLeaveTheOldTask() {
    Guest guest = guest();
    guest.descriptor(OTHER, OTHER_TSS, 0x66, 0x89);
    guest.assertFault(INVALID_TSS, OTHER, () -> jump(guest));
    guest.descriptor(OTHER, OTHER_TSS, 0x67, 0x8B);
    guest.assertFault(GENERAL_PROTECTION, OTHER, () -> jump(guest));
    guest.descriptor(OTHER, OTHER_TSS, 0x67, 0x09);
    guest.assertFault(SEGMENT_NOT_PRESENT, OTHER, () -> jump(guest));
    guest.descriptor(OTHER, OTHER_TSS, 0x67, 0x89);
    guest.processor.absentPages.add(OTHER_TSS >> 12);
    guest.assertFault(PAGE_FAULT, 0, () -> jump(guest));
    guest.processor.absentPages.clear();
    guest.processor.readOnlyPages.add(TestProcessor.TSS >> 12);
    guest.assertFault(PAGE_FAULT, 3, () -> jump(guest));
  }

  private static void jump(Guest guest) {
    FarTransfer.jump(guest.processor, OTHER, 0, 0x1007);
  }

  private static void assertFaultInNewTask(Guest guest, int vector, int errorCode) {
    GuestFault fault = assertThrows(GuestFault.class, () -> jump(guest));
    assertThat(fault.vector).isEqualTo(vector);
    assertThat(fault.errorCode).isEqualTo(errorCode);
    assertThat(guest.state.segmentSelector[TR]).isEqualTo(OTHER);
    assertThat(guest.state.rip).isEqualTo(0x7000);
  }

  @Test
  void faultsInTheNewTaskSegmentsComeUpThere() {
    Guest data = guest();
    task(data, 0x54, Guest.EXECUTE_ONLY0);
    assertFaultInNewTask(data, INVALID_TSS, Guest.EXECUTE_ONLY0);
    Guest code = guest();
    task(code, 0x4C, Guest.DATA0);
    assertFaultInNewTask(code, INVALID_TSS, Guest.DATA0);
    Guest stack = guest();
    task(stack, 0x50, Guest.DATA3);
    assertFaultInNewTask(stack, INVALID_TSS, Guest.DATA3 & ~3);
    Guest ldt = guest();
    task(ldt, 0x60, Guest.DATA0);
    assertFaultInNewTask(ldt, INVALID_TSS, Guest.DATA0);
    Guest offset = guest();
    offset.descriptor(Guest.FREE, 0, 0xFFF, 0x409A);
    task(offset, 0x4C, Guest.FREE);
    assertFaultInNewTask(offset, GENERAL_PROTECTION, 0);
  }

  @Test
  void iretToATaskThatIsNotBusyIsAnInvalidTss() {
    Guest guest = guest();
    guest.state.systemFlags |= NT;
    guest.write(TestProcessor.TSS, 2, OTHER);
    guest.assertFault(
        INVALID_TSS, OTHER, () -> FarReturn.interruptReturn(guest.processor, 4, 0x1001));
  }
}
