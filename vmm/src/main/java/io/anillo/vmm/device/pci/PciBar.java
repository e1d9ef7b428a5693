package io.anillo.vmm.device.pci;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import org.jspecify.annotations.Nullable;

/** One base address register and the region it places (PCI Local Bus 3.0 §6.2.5.1). */
final class PciBar {
  /** What a base address register can place. */
  enum Kind {
    IO,
    MEMORY_32,
    MEMORY_64
  }

  final int index;
  final Kind kind;
  final long sizeBytes;
  final boolean prefetchable;
  private final @Nullable MmioDevice memory;
  private final @Nullable PortDevice ports;
  private boolean mapped;
  private long mappedBase;

  private PciBar(
      int index,
      Kind kind,
      long sizeBytes,
      boolean prefetchable,
      @Nullable MmioDevice memory,
      @Nullable PortDevice ports) {
    this.index = index;
    this.kind = kind;
    this.sizeBytes = sizeBytes;
    this.prefetchable = prefetchable;
    this.memory = memory;
    this.ports = ports;
  }

  static PciBar memory(
      int index, Kind kind, long sizeBytes, boolean prefetchable, MmioDevice region) {
    if (Long.bitCount(sizeBytes) != 1 || sizeBytes < 16) {
      throw new IllegalArgumentException(
          "a memory BAR of " + sizeBytes + " bytes: a power of two from 16 is needed");
    }
    return new PciBar(index, kind, sizeBytes, prefetchable, region, null);
  }

  static PciBar io(int index, int sizeBytes, PortDevice region) {
    if (Integer.bitCount(sizeBytes) != 1 || sizeBytes < 4 || sizeBytes > 256) {
      throw new IllegalArgumentException(
          "an I/O BAR of " + sizeBytes + " bytes: a power of two from 4 to 256 is needed");
    }
    return new PciBar(index, Kind.IO, sizeBytes, false, null, region);
  }

  int configOffset() {
    return PciConfigSpace.BAR_0 + 4 * index;
  }

  /** Prepares the register: its type bits, and which bits can be written. */
  void describe(PciConfigSpace config) {
    int type =
        switch (kind) {
          case IO -> 1;
          case MEMORY_32 -> prefetchable ? 8 : 0;
          case MEMORY_64 -> prefetchable ? 12 : 4;
        };
    config.set(configOffset(), 4, type);
    config.allowWrites(
        configOffset(), 4, -sizeBytes & (kind == Kind.IO ? 0xFFFFFFFCL : 0xFFFFFFF0L));
    if (kind == Kind.MEMORY_64) {
      config.set(configOffset() + 4, 4, 0);
      config.allowWrites(configOffset() + 4, 4, -sizeBytes >>> 32);
    }
  }

  /** The address that the register holds now. */
  long base(PciConfigSpace config) {
    long low = config.get(configOffset(), 4);
    return switch (kind) {
      case IO -> low & ~3L;
      case MEMORY_32 -> low & ~15L;
      case MEMORY_64 -> low & ~15L | config.get(configOffset() + 4, 4) << 32;
    };
  }

  void setBase(PciConfigSpace config, long base) {
    config.guestWrite(configOffset(), 4, base);
    if (kind == Kind.MEMORY_64) {
      config.guestWrite(configOffset() + 4, 4, base >>> 32);
    }
  }

  void unmap(Bus bus) {
    if (mapped) {
      mapped = false;
      if (kind == Kind.IO) {
        bus.unmapPorts((int) mappedBase, (int) sizeBytes);
      } else {
        bus.unmapMmio(mappedBase, sizeBytes);
      }
    }
  }

  /** Maps the region where its register says, if decoding is on and nothing else is there. */
  void map(Bus bus, PciConfigSpace config) {
    int command = config.getShort(PciConfigSpace.COMMAND);
    long base = base(config);
    boolean decoded =
        kind == Kind.IO
            ? (command & PciConfigSpace.COMMAND_IO) != 0 && base + sizeBytes <= 0x10000
            : (command & PciConfigSpace.COMMAND_MEMORY) != 0 && base > 0 && base + sizeBytes > 0;
    if (!decoded || base == 0) {
      return;
    }
    try {
      if (ports != null) {
        PortDevice region = ports;
        bus.mapPorts((int) base, (int) sizeBytes, new RelativePorts(region, (int) base));
      } else if (memory != null) {
        bus.mapMmio(base, sizeBytes, memory);
      }
      mapped = true;
      mappedBase = base;
    } catch (IllegalArgumentException occupied) {
      // A guest put the region over another device: on real hardware both would answer; here the
      // first keeps the place
      // and this region is unreachable until one of them moves.
      mapped = false;
    }
  }

  boolean mapped() {
    return mapped;
  }

  /** Hands port numbers to the region as offsets from its base. */
  private record RelativePorts(PortDevice region, int base) implements PortDevice {
    @Override
    public int readPort(int port, int sizeBytes) {
      return region.readPort(port - base, sizeBytes);
    }

    @Override
    public void writePort(int port, int sizeBytes, int value) {
      region.writePort(port - base, sizeBytes, value);
    }
  }
}
