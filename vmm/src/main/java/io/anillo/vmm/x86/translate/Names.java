package io.anillo.vmm.x86.translate;

import io.anillo.vmm.cpu.CpuState;
import io.anillo.vmm.x86.execute.Alu;
import io.anillo.vmm.x86.execute.LazyFlags;
import io.anillo.vmm.x86.execute.WideDivision;
import io.anillo.vmm.x86.execute.simd.SseControl;
import io.anillo.vmm.x86.interpret.CompiledCode;
import io.anillo.vmm.x86.interpret.InterpretedCpu;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.VarHandle;
import jdk.internal.misc.Unsafe;

/** The classes and method types that generated code names. */
final class Names {
  static final ClassDesc CPU = of(InterpretedCpu.class);
  static final ClassDesc STATE = of(CpuState.class);
  static final ClassDesc ALU = of(Alu.class);
  static final ClassDesc FLAGS = of(LazyFlags.class);
  static final ClassDesc WIDE_DIVISION = of(WideDivision.class);

  /** The class that is written. */
  static final ClassDesc REGION = ClassDesc.of(Names.class.getPackageName(), "Region$Code");

  static final ClassDesc CODE = of(CompiledCode.class);
  static final ClassDesc HANDOVER = of(Handover.class);
  static final ClassDesc MEMORY_EMITTER = of(MemoryEmitter.class);
  static final ClassDesc UNSAFE = of(Unsafe.class);
  static final ClassDesc OBJECT = ConstantDescs.CD_Object;
  static final ClassDesc CONTROL = of(SseControl.class);
  static final ClassDesc LONG_ARRAY = ConstantDescs.CD_long.arrayType();
  static final ClassDesc LONG = of(Long.class);
  static final ClassDesc INTEGER = of(Integer.class);
  static final ClassDesc DOUBLE = of(Double.class);
  static final ClassDesc MATH = of(Math.class);
  static final ClassDesc VAR_HANDLE = of(VarHandle.class);

  static final ClassDesc J = ConstantDescs.CD_long;
  static final ClassDesc D = ConstantDescs.CD_double;
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
