package io.anillo.vmm.device.acpi;

import static io.anillo.vmm.device.acpi.Aml.*;

import io.anillo.vmm.device.chipset.PanicNotice;
import io.anillo.vmm.device.pci.PciHost;
import io.anillo.vmm.device.pci.PciWindows;

/** The byte code of the DSDT: what an operating system cannot find by probing. */
final class DifferentiatedDescription {
  /** The first I/O APIC input of PCI's four shared interrupt lines. */
  static final int FIRST_PCI_INPUT = 16;

  private DifferentiatedDescription() {}

  static byte[] assemble(PciWindows windows, int[] picInterrupts, boolean secondSerial) {
    byte[] soft =
        packageOf(integer(AcpiPowerManagement.SLEEP_TYPE_OFF), integer(5), integer(0), integer(0));
    return join(
        name("\\_S5", soft),
        // The operating system tells here whether it uses the I/O APIC.
        name("\\PICM", integer(0)),
        method("\\_PIC", 1, storeArgument0("PICM")),
        scope(
            "\\_SB",
            pciRoot(windows, picInterrupts),
            device(
                "MRES",
                name("_HID", eisaId("PNP0C02")),
                name("_UID", integer(1)),
                name(
                    "_CRS",
                    resources(
                        fixedMemory(windows.ecamBase(), PciWindows.ECAM_BYTES),
                        ports(AcpiPowerManagement.EVENT_PORT, 12)))),
            serial("COM1", 1, 0x3F8, 4),
            secondSerial ? serial("COM2", 2, 0x2F8, 3) : bytes(),
            device(
                "RTC",
                name("_HID", eisaId("PNP0B00")),
                name("_CRS", resources(ports(0x70, 2), interrupt(8)))),
            device(
                "PEVT",
                name("_HID", string("QEMU0001")),
                name("_STA", integer(0x0F)),
                name("_CRS", resources(ports(PanicNotice.PORT, 1)))),
            device(
                "FWCF",
                name("_HID", string("QEMU0002")),
                name("_STA", integer(0x0B)),
                name("_CRS", resources(ports(0x510, 12))))));
  }

  private static byte[] serial(String name, int uid, int port, int interrupt) {
    return device(
        name,
        name("_HID", eisaId("PNP0501")),
        name("_UID", integer(uid)),
        name("_CRS", resources(ports(port, 8), interrupt(interrupt))));
  }

  private static byte[] pciRoot(PciWindows windows, int[] picInterrupts) {
    int[] inputs = new int[PciHost.INTERRUPT_LINES];
    for (int line = 0; line < inputs.length; line++) {
      inputs[line] = FIRST_PCI_INPUT + line;
    }
    return device(
        "PCI0",
        name("_HID", eisaId("PNP0A03")),
        name("_UID", integer(0)),
        name("_BBN", integer(0)),
        name("_SEG", integer(0)),
        name(
            "_CRS",
            resources(
                busNumbers(0, 0),
                ports(PciHost.CONFIG_ADDRESS, 8),
                portWindow(0, 0xCF7),
                portWindow(0xD00, 0xFFFF),
                memoryWindow32(
                    windows.memoryBase(), windows.memoryBase() + windows.memoryBytes() - 1),
                memoryWindow64(windows.highBase(), windows.highBase() + windows.highBytes() - 1))),
        name("PRTA", routing(inputs)),
        name("PRTP", routing(picInterrupts)),
        method("_PRT", 0, ifName("PICM", returnName("PRTA")), returnName("PRTP")));
  }

  /** Where INTA of each slot leads. */
  private static byte[] routing(int[] targets) {
    byte[][] entries = new byte[PciHost.SLOTS - 1][];
    for (int slot = 1; slot < PciHost.SLOTS; slot++) {
      entries[slot - 1] =
          packageOf(
              integer((long) slot << 16 | 0xFFFF),
              integer(0),
              integer(0),
              integer(targets[PciHost.interruptLineOf(slot)]));
    }
    return packageOf(entries);
  }
}
