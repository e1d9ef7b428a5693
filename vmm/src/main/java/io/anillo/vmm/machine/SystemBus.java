package io.anillo.vmm.machine;

import io.anillo.vmm.device.Bus;
import io.anillo.vmm.device.BusConflictException;
import io.anillo.vmm.device.DoorbellKeeper;
import io.anillo.vmm.device.DoorbellRegion;
import io.anillo.vmm.device.MmioDevice;
import io.anillo.vmm.device.PortDevice;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The board's address spaces: ports by array, memory-mapped ranges by binary search. Every access
 * takes the board's lock.
 *
 * <p>Hot class: each port and MMIO access of the guest passes here; nothing is allocated.
 */
public final class SystemBus implements Bus {
  private static final int PORTS = 0x10000;

  private static final PortDevice NO_PORT =
      new PortDevice() {
        @Override
        public int readPort(int port, int sizeBytes) {
          return -1;
        }

        @Override
        public void writePort(int port, int sizeBytes, int value) {}
      };

  private final BoardLock lock;
  private final PortDevice[] ports = new PortDevice[PORTS];

  // Ranges in ascending order of their bases, without overlap.
  private long[] bases = new long[16];
  private long[] sizes = new long[16];
  private MmioDevice[] devices = new MmioDevice[16];
  private int ranges;
  private @Nullable DoorbellKeeper doorbells;

  private long portAccesses;
  private long mmioAccesses;

  public SystemBus(BoardLock lock) {
    this.lock = lock;
    Arrays.fill(ports, NO_PORT);
  }

  /** How often guests and loaders used the two address spaces. */
  public record Metrics(long portAccesses, long mmioAccesses) {}

  public Metrics metrics() {
    return new Metrics(portAccesses, mmioAccesses);
  }

  /** Names who hears the doorbells that are mapped from here on. */
  public void setDoorbells(DoorbellKeeper keeper) {
    doorbells = keeper;
  }

  @Override
  public void mapPorts(int first, int count, PortDevice device) {
    if (first < 0 || count <= 0 || first + count > PORTS) {
      throw new IllegalArgumentException(
          "ports " + first + " + " + count + " lie outside of 0 to 65535");
    }
    lock.acquire();
    try {
      for (int port = first; port < first + count; port++) {
        if (ports[port] != NO_PORT) {
          throw new BusConflictException(
              "port 0x" + Integer.toHexString(port) + " already has a device");
        }
      }
      Arrays.fill(ports, first, first + count, device);
    } finally {
      lock.release();
    }
  }

  @Override
  public void unmapPorts(int first, int count) {
    lock.acquire();
    try {
      Arrays.fill(ports, first, first + count, NO_PORT);
    } finally {
      lock.release();
    }
  }

  @Override
  public void mapMmio(long base, long sizeBytes, MmioDevice device) {
    if (base < 0 || sizeBytes <= 0 || base + sizeBytes < 0) {
      throw new IllegalArgumentException(
          "no memory range of " + sizeBytes + " bytes at " + Long.toHexString(base));
    }
    lock.acquire();
    try {
      int at = find(base) + 1;
      boolean overlapsBefore = at > 0 && base - bases[at - 1] < sizes[at - 1];
      boolean overlapsNext = at < ranges && base + sizeBytes > bases[at];
      if (overlapsBefore || overlapsNext) {
        throw new IllegalArgumentException(
            "memory at 0x" + Long.toHexString(base) + " already has a device");
      }
      if (ranges == bases.length) {
        bases = Arrays.copyOf(bases, ranges * 2);
        sizes = Arrays.copyOf(sizes, ranges * 2);
        devices = Arrays.copyOf(devices, ranges * 2);
      }
      shift(at, at + 1);
      bases[at] = base;
      sizes[at] = sizeBytes;
      devices[at] = device;
      ranges++;
      if (doorbells != null && device instanceof DoorbellRegion region) {
        doorbells.placed(base, region);
      }
    } finally {
      lock.release();
    }
  }

  @Override
  public void unmapMmio(long base, long sizeBytes) {
    lock.acquire();
    try {
      int at = find(base);
      if (at < 0 || bases[at] != base || sizes[at] != sizeBytes) {
        throw new IllegalArgumentException("no device is mapped at 0x" + Long.toHexString(base));
      }
      if (doorbells != null && devices[at] instanceof DoorbellRegion region) {
        doorbells.removed(base, region);
      }
      shift(at + 1, at);
      ranges--;
    } finally {
      lock.release();
    }
  }

  private void shift(int from, int to) {
    System.arraycopy(bases, from, bases, to, ranges - from);
    System.arraycopy(sizes, from, sizes, to, ranges - from);
    System.arraycopy(devices, from, devices, to, ranges - from);
  }

  /** Index of the last range that begins at or below the address, or -1. */
  private int find(long address) {
    int low = 0;
    int high = ranges - 1;
    while (low <= high) {
      int middle = low + high >>> 1;
      if (bases[middle] <= address) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    return high;
  }

  private static int truncate(int value, int sizeBytes) {
    return sizeBytes == 4 ? value : value & (1 << 8 * sizeBytes) - 1;
  }

  private static long truncate(long value, int sizeBytes) {
    return sizeBytes == 8 ? value : value & (1L << 8 * sizeBytes) - 1;
  }

  @Override
  public int readPort(int port, int sizeBytes) {
    lock.acquire();
    try {
      portAccesses++;
      return truncate(ports[port & 0xFFFF].readPort(port & 0xFFFF, sizeBytes), sizeBytes);
    } finally {
      lock.release();
    }
  }

  @Override
  public void writePort(int port, int sizeBytes, int value) {
    lock.acquire();
    try {
      portAccesses++;
      ports[port & 0xFFFF].writePort(port & 0xFFFF, sizeBytes, truncate(value, sizeBytes));
    } finally {
      lock.release();
    }
  }

  @Override
  public long readMmio(long address, int sizeBytes) {
    lock.acquire();
    try {
      mmioAccesses++;
      int at = find(address);
      if (at < 0 || address - bases[at] >= sizes[at]) {
        return truncate(-1L, sizeBytes);
      }
      return truncate(devices[at].readMmio(address - bases[at], sizeBytes), sizeBytes);
    } finally {
      lock.release();
    }
  }

  @Override
  public void writeMmio(long address, int sizeBytes, long value) {
    lock.acquire();
    try {
      mmioAccesses++;
      int at = find(address);
      if (at >= 0 && address - bases[at] < sizes[at]) {
        devices[at].writeMmio(address - bases[at], sizeBytes, truncate(value, sizeBytes));
      }
    } finally {
      lock.release();
    }
  }
}
