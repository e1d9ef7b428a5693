package io.anillo.vmm.x86.interpret;

import io.anillo.vmm.x86.execute.simd.Crc32;

/** CRC32 of SSE4.2: the Castagnoli polynomial over 1 to 8 bytes. */
final class ChecksumStep extends Step {
  private final Place destination;
  private final Place source;

  private ChecksumStep(Operands operands) {
    this.destination = operands.place(0);
    this.source = operands.place(1);
  }

  static Step compile(Operands operands) {
    return new ChecksumStep(operands);
  }

  @Override
  void run(InterpretedCpu cpu) {
    long checksum = destination.get(cpu);
    long value = source.get(cpu);
    long result = Crc32.update(checksum, value, source.size);
    cpu.setGeneral(cpuRegister(), 8, result);
  }

  private int cpuRegister() {
    return ((Place.Register) destination).register();
  }
}
