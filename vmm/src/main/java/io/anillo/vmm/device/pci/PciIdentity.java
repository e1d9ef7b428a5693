package io.anillo.vmm.device.pci;

/**
 * What a PCI function says it is.
 *
 * @param classCode 24 bits: base class, subclass, programming interface
 */
public record PciIdentity(
    int vendorId,
    int deviceId,
    int classCode,
    int revision,
    int subsystemVendorId,
    int subsystemId) {}
