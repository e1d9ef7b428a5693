package io.anillo.vmm.kvm;

import java.io.IOException;

/** KVM cannot be used, or not for this; the message is one sentence without its full stop. */
public final class KvmException extends IOException {
  private static final long serialVersionUID = 1L;

  KvmException(String message) {
    super(message);
  }
}
