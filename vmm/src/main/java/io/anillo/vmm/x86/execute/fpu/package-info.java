/**
 * The x87 floating-point unit: arithmetic on 80-bit numbers in software, the stack of registers,
 * and the instructions of the escape opcodes D8 to DF (Intel SDM vol. 1 chapter 8).
 */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.execute.fpu;
