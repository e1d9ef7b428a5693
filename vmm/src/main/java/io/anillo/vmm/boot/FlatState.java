package io.anillo.vmm.boot;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import java.util.Arrays;

/**
 * Processor states in which kernels are entered: flat segments over a small descriptor table in
 * guest memory.
 */
final class FlatState {
  /** Selectors as Linux's boot protocol names them; the other protocols leave them open. */
  private static final int CODE_SELECTOR = 0x10, DATA_SELECTOR = 0x18, TASK_SELECTOR = 0x20;

  private static final int CODE32 =
      0xB
          | CpuState.ACCESS_S
          | CpuState.ACCESS_PRESENT
          | CpuState.ACCESS_BIG
          | CpuState.ACCESS_GRANULAR;
  private static final int CODE64 =
      0xB
          | CpuState.ACCESS_S
          | CpuState.ACCESS_PRESENT
          | CpuState.ACCESS_LONG
          | CpuState.ACCESS_GRANULAR;
  private static final int DATA =
      0x3
          | CpuState.ACCESS_S
          | CpuState.ACCESS_PRESENT
          | CpuState.ACCESS_BIG
          | CpuState.ACCESS_GRANULAR;
  private static final int BUSY_TASK = 0xB | CpuState.ACCESS_PRESENT;
  private static final int TASK_LIMIT = 0x67;

  private static final long PAGE_PRESENT_WRITABLE = 3;
  private static final long PAGE_LARGE = 0x80;
  private static final int IDENTITY_GIGABYTES = 4;

  private FlatState() {}

  /** 32-bit protected mode without paging. */
  static void enterProtectedMode(CpuState state, GuestMemory memory, long entry) {
    enter(state, memory, entry, CODE32);
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_ET;
  }

  /** 64-bit mode with the first 4 GiB mapped one to one in 2 MiB pages. */
  static void enterLongMode(CpuState state, GuestMemory memory, long entry) {
    enter(state, memory, entry, CODE64);
    long directories = LowMemory.PAGE_TABLES + 0x2000;
    memory.fill(LowMemory.PAGE_TABLES, 0x2000, (byte) 0);
    memory.putLong(LowMemory.PAGE_TABLES, LowMemory.PAGE_TABLES + 0x1000 | PAGE_PRESENT_WRITABLE);
    for (int gigabyte = 0; gigabyte < IDENTITY_GIGABYTES; gigabyte++) {
      long directory = directories + gigabyte * 0x1000L;
      memory.putLong(
          LowMemory.PAGE_TABLES + 0x1000 + gigabyte * 8L, directory | PAGE_PRESENT_WRITABLE);
      for (int entryIndex = 0; entryIndex < 512; entryIndex++) {
        long page = ((long) gigabyte << 30) + ((long) entryIndex << 21);
        memory.putLong(directory + entryIndex * 8L, page | PAGE_PRESENT_WRITABLE | PAGE_LARGE);
      }
    }
    state.cr3 = LowMemory.PAGE_TABLES;
    state.cr4 = CpuState.CR4_PAE;
    state.efer = CpuState.EFER_LME | CpuState.EFER_LMA;
    state.cr0 = CpuState.CR0_PE | CpuState.CR0_ET | CpuState.CR0_PG;
  }

  private static void enter(CpuState state, GuestMemory memory, long entry, int codeAccess) {
    Arrays.fill(state.general, 0);
    state.setRflags(0);
    state.rip = entry;
    state.privilege = 0;
    state.cr2 = 0;
    state.cr3 = 0;
    state.cr4 = 0;
    state.efer = 0;
    state.halted = false;
    state.waitingForStartup = false;
    state.interruptShadow = false;
    state.general[CpuState.RSP] = LowMemory.STACK_TOP;
    for (int segment = CpuState.ES; segment <= CpuState.GS; segment++) {
      set(state, segment, DATA_SELECTOR, 0, 0xFFFF_FFFFL, DATA);
    }
    set(state, CpuState.CS, CODE_SELECTOR, 0, 0xFFFF_FFFFL, codeAccess);
    set(state, CpuState.LDTR, 0, 0, 0, CpuState.ACCESS_UNUSABLE);
    set(state, CpuState.TR, TASK_SELECTOR, 0, TASK_LIMIT, BUSY_TASK);
    memory.fill(LowMemory.DESCRIPTORS, TASK_SELECTOR + 16L, (byte) 0);
    memory.putLong(LowMemory.DESCRIPTORS + CODE_SELECTOR, descriptor(0xFFFFF, codeAccess));
    memory.putLong(LowMemory.DESCRIPTORS + DATA_SELECTOR, descriptor(0xFFFFF, DATA));
    memory.putLong(LowMemory.DESCRIPTORS + TASK_SELECTOR, descriptor(TASK_LIMIT, BUSY_TASK));
    state.gdtBase = LowMemory.DESCRIPTORS;
    // A descriptor of a task state segment is 16 bytes long in long mode.
    state.gdtLimit = TASK_SELECTOR + 15;
    state.idtBase = 0;
    state.idtLimit = 0;
  }

  private static void set(
      CpuState state, int segment, int selector, long base, long limit, int access) {
    state.segmentSelector[segment] = selector;
    state.segmentBase[segment] = base;
    state.segmentLimit[segment] = limit;
    state.segmentAccess[segment] = access;
  }

  /** A descriptor with base 0 (Intel SDM vol. 3A §3.4.5). */
  private static long descriptor(int limit, int access) {
    return (limit & 0xFFFFL) | (access & 0xF0FFL) << 40 | (limit & 0xF0000L) << 32;
  }
}
