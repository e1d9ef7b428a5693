package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.simd.SseControl;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;

/** The classes and method types that generated code names. */
final class Names {
  static final ClassDesc CPU = of(InterpretedCpu.class);
  static final ClassDesc MEMORY = of(GuestMemory.class);
  static final ClassDesc STATE = of(CpuState.class);
  static final ClassDesc ALU = of(Alu.class);
  static final ClassDesc CODE = of(CompiledCode.class);
  static final ClassDesc CONTROL = of(SseControl.class);
  static final ClassDesc LONG_ARRAY = ConstantDescs.CD_long.arrayType();
  static final ClassDesc LONG = of(Long.class);
  static final ClassDesc INTEGER = of(Integer.class);

  static final ClassDesc J = ConstantDescs.CD_long;
  static final ClassDesc I = ConstantDescs.CD_int;
  static final ClassDesc Z = ConstantDescs.CD_boolean;
  static final ClassDesc V = ConstantDescs.CD_void;

  private Names() {}

  static ClassDesc of(Class<?> type) {
    return ClassDesc.ofDescriptor(type.descriptorString());
  }

  static MethodTypeDesc type(ClassDesc result, ClassDesc... parameters) {
    return MethodTypeDesc.of(result, parameters);
  }
}
