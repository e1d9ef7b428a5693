package io.anillo.vmm.kvm;

import io.anillo.vmm.host.HostSystem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Set;

/**
 * Answers some calls as the kernel of another host would, and has this host's answer the others.
 *
 * @see #errno
 */
final class OtherHost extends HostSystem {
  /** How this host differs. */
  record Ways(
      int openError,
      Set<Integer> lackingCapabilities,
      Map<Long, Integer> errors,
      Refused register) {

    static final Ways AS_HERE = new Ways(0, Set.of(), Map.of(), new Refused(0, 0));

    Ways notOpened(int error) {
      return new Ways(error, lackingCapabilities, errors, register);
    }

    Ways lacking(Integer... capabilities) {
      return new Ways(openError, Set.of(capabilities), errors, register);
    }

    /** Fails a call with an error. */
    Ways failing(long request, int error) {
      return new Ways(openError, lackingCapabilities, Map.of(request, error), register);
    }

    /** Refuses a value of a model-specific register. */
    Ways refusing(int index, long value) {
      return new Ways(openError, lackingCapabilities, errors, new Refused(index, value));
    }
  }

  /** A model-specific register, and a value that is not taken. */
  record Refused(int index, long value) {}

  private final Ways ways;
  private int error;

  OtherHost(Ways ways) {
    this.ways = ways;
  }

  @Override
  public int errno() {
    return error != 0 ? error : super.errno();
  }

  @Override
  public int open(String path) {
    error = ways.openError();
    return error != 0 ? -1 : super.open(path);
  }

  @Override
  public int ioctl(int descriptor, long request, long argument) {
    error = ways.errors().getOrDefault(request, 0);
    if (error != 0) {
      return -1;
    }
    if (request == KvmNumbers.CHECK_EXTENSION
        && ways.lackingCapabilities().contains((int) argument)) {
      return 0;
    }
    if (request == KvmNumbers.SET_MSRS) {
      MemorySegment list = MemorySegment.ofAddress(argument).reinterpret(24);
      if (ways.register().index() == list.get(ValueLayout.JAVA_INT, 8)
          && ways.register().value() == list.get(ValueLayout.JAVA_LONG, 16)) {
        // As many as were set.
        return 0;
      }
    }
    return super.ioctl(descriptor, request, argument);
  }
}
