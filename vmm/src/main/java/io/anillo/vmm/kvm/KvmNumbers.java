package io.anillo.vmm.kvm;

import java.util.Map;

/**
 * Numbers of KVM's interface (Linux, Documentation/virt/kvm/api.rst; {@code linux/kvm.h} and {@code
 * asm/kvm.h} of x86-64).
 */
final class KvmNumbers {
  static final int API_VERSION = 12;

  static final long GET_API_VERSION = 0xAE00,
      CREATE_VM = 0xAE01,
      CHECK_EXTENSION = 0xAE03,
      GET_SUPPORTED_CPUID = 0xC008_AE05,
      GET_VCPU_MMAP_SIZE = 0xAE04,
      CREATE_VCPU = 0xAE41,
      GET_DIRTY_LOG = 0x4010_AE42,
      SET_USER_MEMORY_REGION = 0x4020_AE46,
      SET_TSS_ADDRESS = 0xAE47,
      SET_GSI_ROUTING = 0x4008_AE6A,
      IRQFD = 0x4020_AE76,
      IOEVENTFD = 0x4040_AE79,
      ENABLE_CAPABILITY = 0x4068_AEA3,
      SIGNAL_MSI = 0x4020_AEA5,
      SET_MSR_FILTER = 0x4188_AEC6;

  /** Of a virtual processor. */
  static final long RUN = 0xAE80,
      GET_REGS = 0x8090_AE81,
      SET_REGS = 0x4090_AE82,
      GET_SREGS = 0x8138_AE83,
      SET_SREGS = 0x4138_AE84,
      INTERRUPT = 0x4004_AE86,
      GET_MSRS = 0xC008_AE88,
      SET_MSRS = 0x4008_AE89,
      SET_SIGNAL_MASK = 0x4004_AE8B,
      SET_CPUID2 = 0x4008_AE90,
      GET_LAPIC = 0x8400_AE8E,
      SET_LAPIC = 0x4400_AE8F,
      GET_MP_STATE = 0x8004_AE98,
      SET_MP_STATE = 0x4004_AE99,
      NMI = 0xAE9A,
      GET_VCPU_EVENTS = 0x8040_AE9F,
      SET_VCPU_EVENTS = 0x4040_AEA0,
      GET_DEBUGREGS = 0x8080_AEA1,
      SET_DEBUGREGS = 0x4080_AEA2,
      SET_TSC_KHZ = 0xAEA2,
      GET_TSC_KHZ = 0xAEA3,
      SET_DEVICE_ATTRIBUTE = 0x4018_AEE1,
      GET_DEVICE_ATTRIBUTE = 0x4018_AEE2,
      HAS_DEVICE_ATTRIBUTE = 0x4018_AEE3,
      GET_XSAVE = 0x9000_AEA4,
      SET_XSAVE = 0x5000_AEA5,
      GET_XCRS = 0x8188_AEA6,
      SET_XCRS = 0x4188_AEA7,
      GET_SREGS2 = 0x8140_AECC,
      SET_SREGS2 = 0x4140_AECD;

  /** Capabilities. */
  static final int CAP_USER_NMI = 22,
      CAP_IRQFD = 32,
      CAP_IOEVENTFD = 36,
      CAP_VCPU_EVENTS = 41,
      CAP_DEBUGREGS = 50,
      CAP_XSAVE = 55,
      CAP_XCRS = 56,
      CAP_TSC_CONTROL = 60,
      CAP_SYNC_REGS = 74,
      CAP_SIGNAL_MSI = 77,
      CAP_SPLIT_IRQCHIP = 121,
      CAP_IOEVENTFD_ANY_LENGTH = 122,
      CAP_IMMEDIATE_EXIT = 136,
      CAP_X86_USER_SPACE_MSR = 188,
      CAP_X86_MSR_FILTER = 189,
      CAP_SREGS2 = 200;

  /** Capabilities without which the engine does not run, by the kernel's names. */
  static final Map<Integer, String> NEEDED_CAPABILITIES =
      Map.of(
          CAP_USER_NMI, "KVM_CAP_USER_NMI",
          CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS",
          CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS",
          CAP_XSAVE, "KVM_CAP_XSAVE",
          CAP_XCRS, "KVM_CAP_XCRS",
          CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT",
          CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR",
          CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER",
          CAP_SREGS2, "KVM_CAP_SREGS2");

  /** Exit reasons. */
  static final int EXIT_IO = 2,
      EXIT_HLT = 5,
      EXIT_MMIO = 6,
      EXIT_IRQ_WINDOW_OPEN = 7,
      EXIT_SHUTDOWN = 8,
      EXIT_FAIL_ENTRY = 9,
      EXIT_INTR = 10,
      EXIT_SET_TPR = 11,
      EXIT_INTERNAL_ERROR = 17,
      EXIT_IOAPIC_EOI = 26,
      EXIT_X86_RDMSR = 29,
      EXIT_X86_WRMSR = 30;

  /** Offsets in {@code struct kvm_run}. */
  static final int RUN_REQUEST_WINDOW = 0,
      RUN_IMMEDIATE_EXIT = 1,
      RUN_EXIT_REASON = 8,
      RUN_READY = 12,
      RUN_IF_FLAG = 13,
      RUN_CR8 = 16,
      RUN_UNION = 32,
      RUN_VALID_REGS = 288,
      RUN_SYNC_SREGS = 448;

  /** Registers that KVM copies to {@code struct kvm_run} at every exit. */
  static final int SYNC_SREGS = 2;

  static final int MEMORY_LOG_DIRTY_PAGES = 1;

  static final int IOEVENTFD_REMOVE = 4;

  /** Reasons for which a register is left to us: unknown to KVM, wrong value, filtered. */
  static final long MSR_EXIT_ALL = 1 | 2 | 4;

  static final int MSR_FILTER_DEFAULT_DENY = 1, MSR_FILTER_READ = 1, MSR_FILTER_WRITE = 2;

  /** What a processor does (KVM_GET_MP_STATE). */
  static final int STATE_RUNNABLE = 0, STATE_UNINITIALIZED = 1, STATE_INIT_RECEIVED = 2;

  static final int STATE_HALTED = 3;

  static final int SREGS2_PDPTRS_VALID = 1;
  static final int EVENTS_NMI_PENDING_VALID = 1, EVENTS_SHADOW_VALID = 4;
  static final int SHADOW_MOV_SS = 1, SHADOW_STI = 2;

  private KvmNumbers() {}
}
