package io.anillo.vmm.x86.decode;

/** The default operand and address size of a code segment. */
public enum CodeSize {
  CODE_16,
  CODE_32,
  CODE_64
}
