package io.anillo.vmm.device.acpi;

import io.anillo.vmm.device.firmware.PhysicalMemoryMap;
import io.anillo.vmm.device.interrupt.IoApic;
import io.anillo.vmm.device.interrupt.LocalApic;
import io.anillo.vmm.device.pci.PciWindows;
import io.anillo.vmm.memory.GuestMemory;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The ACPI tables of our PC (ACPI 6.5 §5.2): root pointer, RSDT and XSDT, FADT, FACS, DSDT, MADT,
 * MCFG. They lie at a fixed place below 1 MiB, the root pointer first, where an operating system
 * also finds them by searching.
 */
public final class AcpiTables {
  private static final int HEADER_BYTES = 36;

  /** Where the root pointer is; a boot loader hands this on. */
  public static final long ROOT_POINTER = PhysicalMemoryMap.ACPI_ROOT_POINTER;

  private final byte[] image;

  /**
   * Builds the tables.
   *
   * @param cpus processors, with APIC ids from 0; at most 254
   * @param picInterrupts the 8259A inputs of PCI's four shared interrupt lines
   * @param secondSerial whether there is a COM2
   */
  public AcpiTables(int cpus, PciWindows windows, int[] picInterrupts, boolean secondSerial) {
    if (cpus < 1 || cpus > 254) {
      throw new IllegalArgumentException(cpus + " processors: 1 to 254 are possible");
    }
    Layout layout = new Layout();
    long facs = layout.add(firmwareControl(), 64);
    long dsdt =
        layout.add(
            table(
                "DSDT",
                2,
                DifferentiatedDescription.assemble(windows, picInterrupts, secondSerial)),
            16);
    List<Long> roots = new ArrayList<>();
    roots.add(layout.add(table("FACP", 6, fixedDescription(facs, dsdt)), 16));
    roots.add(layout.add(table("APIC", 5, interruptControllers(cpus)), 16));
    roots.add(layout.add(table("MCFG", 1, configurationWindow(windows)), 16));
    long rsdt = layout.add(table("RSDT", 1, pointers(roots, 4)), 16);
    long xsdt = layout.add(table("XSDT", 1, pointers(roots, 8)), 16);
    image = layout.finish(rootPointer(rsdt, xsdt));
  }

  /** The bytes from {@link #ROOT_POINTER}. */
  public byte[] image() {
    return image.clone();
  }

  /** Puts the tables into guest memory. */
  public void writeTo(GuestMemory memory) {
    memory.write(ROOT_POINTER, image, 0, image.length);
  }

  /** Places tables one behind the other. */
  private static final class Layout {
    private static final int ROOT_POINTER_BYTES = 36;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Layout() {
      out.writeBytes(new byte[ROOT_POINTER_BYTES]);
    }

    long add(byte[] table, int alignment) {
      out.writeBytes(new byte[-out.size() & alignment - 1]);
      long address = ROOT_POINTER + out.size();
      out.writeBytes(table);
      return address;
    }

    byte[] finish(byte[] rootPointer) {
      byte[] bytes = out.toByteArray();
      System.arraycopy(rootPointer, 0, bytes, 0, rootPointer.length);
      if (ROOT_POINTER + bytes.length > PhysicalMemoryMap.ACPI_TABLES_END) {
        throw new IllegalStateException("the ACPI tables do not fit below 1 MiB");
      }
      return bytes;
    }
  }

  private static ByteBuffer buffer(int sizeBytes) {
    return ByteBuffer.allocate(sizeBytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static void setChecksum(byte[] bytes, int at, int length) {
    int sum = 0;
    bytes[at] = 0;
    for (int i = 0; i < length; i++) {
      sum += bytes[i];
    }
    bytes[at] = (byte) -sum;
  }

  private static byte[] table(String signature, int revision, byte[] body) {
    ByteBuffer out = buffer(HEADER_BYTES + body.length);
    out.put(ascii(signature)).putInt(HEADER_BYTES + body.length).put((byte) revision).put((byte) 0);
    out.put(ascii("ANILLO")).put(ascii("ANILLOVM")).putInt(1).put(ascii("ANIL")).putInt(1);
    out.put(body);
    setChecksum(out.array(), 9, out.capacity());
    return out.array();
  }

  private static byte[] rootPointer(long rsdt, long xsdt) {
    ByteBuffer out = buffer(36);
    out.put(ascii("RSD PTR ")).put((byte) 0).put(ascii("ANILLO")).put((byte) 2).putInt((int) rsdt);
    out.putInt(36).putLong(xsdt);
    setChecksum(out.array(), 8, 20);
    setChecksum(out.array(), 32, 36);
    return out.array();
  }

  private static byte[] pointers(List<Long> addresses, int width) {
    byte[][] numbers = new byte[addresses.size()][];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Aml.number(addresses.get(i), width);
    }
    return Aml.join(numbers);
  }

  private static byte[] firmwareControl() {
    return buffer(64).put(ascii("FACS")).putInt(64).put(32, (byte) 2).array();
  }

  /** A generic address of a register in port space (§5.2.3.2). */
  private static byte[] portRegister(int port, int bits, int accessSize) {
    return Aml.join(Aml.bytes(1, bits, 0, accessSize), Aml.number(port, 8));
  }

  private static byte[] fixedDescription(long facs, long dsdt) {
    ByteBuffer out = buffer(276);
    // Offsets as in the specification, from the table's start.
    out.putInt(36, (int) facs).putInt(40, (int) dsdt);
    out.putShort(46, (short) AcpiPowerManagement.INTERRUPT);
    out.putInt(56, AcpiPowerManagement.EVENT_PORT).putInt(64, AcpiPowerManagement.CONTROL_PORT);
    out.putInt(76, AcpiPowerManagement.TIMER_PORT);
    out.put(88, (byte) 4).put(89, (byte) 2).put(91, (byte) 4);
    // C2 and C3 are not supported: their latencies are out of range.
    out.putShort(96, (short) 0xFFF).putShort(98, (short) 0xFFF);
    out.put(108, (byte) 0x32); // the clock's century
    // Legacy devices are present; a keyboard controller and VGA are not to be looked for.
    out.putShort(109, (short) (1 | 1 << 2));
    // WBINVD, C1, no sleep button, no RTC in fixed registers, 32-bit timer, reset register.
    out.putInt(112, 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10);
    out.put(116, portRegister(AcpiPowerManagement.RESET_PORT, 8, 1));
    out.put(128, (byte) AcpiPowerManagement.RESET_VALUE).put(131, (byte) 5);
    out.putLong(140, dsdt);
    out.put(148, portRegister(AcpiPowerManagement.EVENT_PORT, 32, 2));
    out.put(172, portRegister(AcpiPowerManagement.CONTROL_PORT, 16, 2));
    out.put(208, portRegister(AcpiPowerManagement.TIMER_PORT, 32, 3));
    out.put(268, ascii("ANILLOVM"));
    return java.util.Arrays.copyOfRange(out.array(), HEADER_BYTES, 276);
  }

  private static byte[] interruptControllers(int cpus) {
    ByteBuffer out = buffer(8 + cpus * 8 + 12 + 2 * 10 + 6);
    out.putInt((int) LocalApic.DEFAULT_BASE).putInt(1); // there are 8259As, too
    for (int cpu = 0; cpu < cpus; cpu++) {
      out.put((byte) 0).put((byte) 8).put((byte) cpu).put((byte) cpu).putInt(1);
    }
    out.put((byte) 1)
        .put((byte) 12)
        .put((byte) 0)
        .put((byte) 0)
        .putInt((int) IoApic.BASE)
        .putInt(0);
    // The interval timer comes in at input 2; ACPI's interrupt is level-triggered, active high.
    out.put((byte) 2).put((byte) 10).put((byte) 0).put((byte) 0).putInt(2).putShort((short) 0);
    out.put((byte) 2).put((byte) 10).put((byte) 0).put((byte) AcpiPowerManagement.INTERRUPT);
    out.putInt(AcpiPowerManagement.INTERRUPT).putShort((short) 0xD);
    // LINT1 of all processors is NMI.
    out.put((byte) 4).put((byte) 6).put((byte) 0xFF).putShort((short) 0).put((byte) 1);
    return out.array();
  }

  private static byte[] configurationWindow(PciWindows windows) {
    return buffer(24).putLong(8, windows.ecamBase()).array();
  }
}
