package io.anillo.vmm.x86.execute.system;

import io.anillo.vmm.cpu.CpuModel;
import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.cpu.LocalInterrupts;
import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.GuestFault;
import io.anillo.vmm.x86.execute.Processor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A processor whose linear addresses are physical ones modulo its memory, with pages that can be
 * made absent, read-only or supervisor-only. It records what it is told.
 */
final class TestProcessor extends Processor {
  private static final long MEMORY_BYTES = 1 << 20;
  static final long GDT = 0x1000, IDT = 0x2000, TSS = 0x4000, LDT = 0x5000;

  final Set<Long> absentPages = new HashSet<>();
  final Set<Long> readOnlyPages = new HashSet<>();
  final Set<Long> supervisorPages = new HashSet<>();

  /** The hooks called, in order. */
  final List<String> told = new ArrayList<>();

  final Map<Integer, Long> controllerMsrs = new HashMap<>();
  int taskPriority;
  long boardTimeStamp = 1000;

  private final CpuModel model = CpuModel.anilloV2(2);

  TestProcessor() {
    super(new GuestMemory(MEMORY_BYTES), new EmptyBus());
    state.gdtBase = GDT;
    state.gdtLimit = 0xFFF;
    state.idtBase = IDT;
    state.idtLimit = 0xFFF;
    for (int i = 0; i < 8; i++) {
      SegmentLoader.loadNull(state, i, 0);
    }
    state.debug[6] = DebugRegisters.STATUS_RESET;
    state.debug[7] = DebugRegisters.CONTROL_RESET;
    state.cr0 = CpuState.CR0_ET;
  }

  private long translate(long linear, boolean write, boolean userAccess) {
    long page = (linear & 0xFFFF_FFFF_FFFFL) >>> 12;
    boolean absent = absentPages.contains(page);
    if (absent
        || write && readOnlyPages.contains(page)
        || userAccess && supervisorPages.contains(page)) {
      state.cr2 = linear;
      throw fault(GuestFault.PAGE_FAULT, (absent ? 0 : 1) | (write ? 2 : 0) | (userAccess ? 4 : 0));
    }
    return linear & MEMORY_BYTES - 1;
  }

  private long translate(long linear, int sizeBytes, boolean write, boolean userAccess) {
    long at = translate(linear, write, userAccess);
    if ((linear & 0xFFF) + sizeBytes > 0x1000) {
      translate(linear + sizeBytes - 1 & -0x1000L, write, userAccess);
    }
    return at;
  }

  private long get(long at, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> memory.getByte(at) & 0xFF;
      case 2 -> memory.getShort(at) & 0xFFFF;
      case 4 -> memory.getInt(at) & 0xFFFF_FFFFL;
      case 8 -> memory.getLong(at);
      default -> throw new IllegalArgumentException("size " + sizeBytes);
    };
  }

  private void put(long at, int sizeBytes, long value) {
    switch (sizeBytes) {
      case 1 -> memory.putByte(at, (byte) value);
      case 2 -> memory.putShort(at, (short) value);
      case 4 -> memory.putInt(at, (int) value);
      case 8 -> memory.putLong(at, value);
      default -> throw new IllegalArgumentException("size " + sizeBytes);
    }
  }

  @Override
  public long load(long linear, int sizeBytes) {
    return get(translate(linear, sizeBytes, false, state.privilege == 3), sizeBytes);
  }

  @Override
  public void store(long linear, int sizeBytes, long value) {
    put(translate(linear, sizeBytes, true, state.privilege == 3), sizeBytes, value);
  }

  @Override
  public void probeWrite(long linear, int sizeBytes) {
    translate(linear, sizeBytes, true, state.privilege == 3);
  }

  @Override
  public long loadSystem(long linear, int sizeBytes) {
    return get(translate(linear, sizeBytes, false, false), sizeBytes);
  }

  @Override
  public void storeSystem(long linear, int sizeBytes, long value) {
    put(translate(linear, sizeBytes, true, false), sizeBytes, value);
  }

  @Override
  public void probeSystemWrite(long linear, int sizeBytes) {
    translate(linear, sizeBytes, true, false);
  }

  @Override
  public long loadPhysical(long physical, int sizeBytes) {
    return get(physical & MEMORY_BYTES - 1, sizeBytes);
  }

  @Override
  public void flushTlb(boolean globalToo) {
    told.add("flush " + (globalToo ? "all" : "local"));
  }

  @Override
  public void modeChanged() {
    told.add("mode");
  }

  @Override
  public void addressSpaceChanged(boolean keepTranslations) {
    told.add("address space " + (keepTranslations ? "kept" : "flushed"));
  }

  @Override
  public void invalidatePage(long linear) {
    told.add("page 0x" + Long.toHexString(linear));
  }

  @Override
  public void invalidatePcid(int type, int pcid, long linear) {
    told.add("pcid " + type + " " + pcid + " 0x" + Long.toHexString(linear));
  }

  @Override
  public long timeStampCounter() {
    return boardTimeStamp + state.tscOffset;
  }

  @Override
  public CpuModel model() {
    return model;
  }

  @Override
  public LocalInterrupts localInterrupts() {
    return new LocalInterrupts() {
      @Override
      public boolean pending() {
        return false;
      }

      @Override
      public int acknowledge() {
        return -1;
      }

      @Override
      public int taskPriorityClass() {
        return taskPriority;
      }

      @Override
      public void setTaskPriorityClass(int priorityClass) {
        taskPriority = priorityClass;
      }

      @Override
      public long readMsr(int index) {
        Long value = controllerMsrs.get(index);
        if (value == null) {
          throw new UnknownMsrException(index);
        }
        return value;
      }

      @Override
      public void writeMsr(int index, long value) {
        if (controllerMsrs.replace(index, value) == null) {
          throw new UnknownMsrException(index);
        }
      }

      @Override
      public void initReset() {}
    };
  }

  private static final class EmptyBus implements Bus {
    @Override
    public void mapPorts(int first, int count, PortDevice device) {}

    @Override
    public void unmapPorts(int first, int count) {}

    @Override
    public void mapMmio(long base, long sizeBytes, MmioDevice device) {}

    @Override
    public void unmapMmio(long base, long sizeBytes) {}

    @Override
    public int readPort(int port, int sizeBytes) {
      return -1;
    }

    @Override
    public void writePort(int port, int sizeBytes, int value) {}

    @Override
    public long readMmio(long address, int sizeBytes) {
      return -1;
    }

    @Override
    public void writeMmio(long address, int sizeBytes, long value) {}
  }
}
