package io.anillo.vmm.x86.translate;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.TypeKind;
import java.util.Arrays;
import jdk.internal.misc.Unsafe;

/**
 * The guest's registers in JVM locals: loaded from the processor's state when they are first
 * needed, stored back where the region is left. While code is written, this knows which are loaded,
 * and which may have changed since.
 *
 * <p>Invariant: what may have changed is loaded, on every way to a place.
 */
final class RegisterLocals {
  private static final int NONE = -1;

  private final CodeBuilder code;
  private final int cpu;

  /** The processor's arrays of registers. */
  private final int generalArray;

  private final int xmmArray;

  // Locals are taken when they are first used: HotSpot's compilers carry all of a method's along.
  private final int[] general = new int[16];
  private final int[] xmmLow = new int[16];
  private final int[] xmmHigh = new int[16];
  private final FlagEmitter flags;
  private long loaded;
  private long changed;

  RegisterLocals(CodeBuilder code, int cpu, FlagEmitter flags) {
    this.code = code;
    this.cpu = cpu;
    this.flags = flags;
    generalArray = code.allocateLocal(TypeKind.REFERENCE);
    xmmArray = code.allocateLocal(TypeKind.REFERENCE);
    Arrays.fill(general, NONE);
    Arrays.fill(xmmLow, NONE);
    Arrays.fill(xmmHigh, NONE);
  }

  private int local(int[] locals, int register) {
    if (locals[register] == NONE) {
      locals[register] = code.allocateLocal(TypeKind.LONG);
    }
    return locals[register];
  }

  /** At the entry: finds the state; nothing is loaded yet. */
  void enter(boolean anyXmm) {
    // Asked for their length, they are known not to be null, which accesses behind rely on.
    code.aload(cpu).getfield(Names.CPU, "general", Names.LONG_ARRAY);
    code.dup().arraylength().pop().astore(generalArray);
    if (anyXmm) {
      pushState();
      code.getfield(Names.STATE, "xmm", Names.LONG_ARRAY);
      code.dup().arraylength().pop().astore(xmmArray);
    }
    loaded = 0;
    changed = 0;
  }

  void pushState() {
    code.aload(cpu).getfield(Names.CPU, "state", Names.STATE);
  }

  long loaded() {
    return loaded;
  }

  long changed() {
    return changed;
  }

  /** A block begins in which this is so. */
  void begin(long nowLoaded, long nowChanged) {
    loaded = nowLoaded;
    changed = nowChanged;
  }

  // ---- loading and storing

  /** Loads what is not loaded yet. */
  void require(long mask) {
    long missing = mask & ~loaded;
    for (int i = 0; i < 16; i++) {
      if ((missing & RegisterMask.general(i)) != 0) {
        pushElement(generalArray, i);
        code.lstore(local(general, i));
      }
      if ((missing & RegisterMask.xmm(i)) != 0) {
        pushElement(xmmArray, 2 * i);
        code.lstore(local(xmmLow, i));
        pushElement(xmmArray, 2 * i + 1);
        code.lstore(local(xmmHigh, i));
      }
    }
    if ((missing & RegisterMask.FLAGS) != 0) {
      pushState();
      flags.load();
    }
    loaded |= mask;
  }

  /** Stores registers that may have changed; they are still loaded. */
  void store(long mask) {
    storeAll(mask & changed);
    changed &= ~mask;
  }

  /** Stores registers, with the flags as they are known to be here. */
  void storeAll(long mask) {
    for (int i = 0; i < 16; i++) {
      if ((mask & RegisterMask.general(i)) != 0) {
        popElement(generalArray, i, local(general, i));
      }
      if ((mask & RegisterMask.xmm(i)) != 0) {
        popElement(xmmArray, 2 * i, local(xmmLow, i));
        popElement(xmmArray, 2 * i + 1, local(xmmHigh, i));
      }
    }
    if ((mask & RegisterMask.FLAGS) != 0) {
      pushState();
      flags.store();
    }
  }

  /** The state was changed behind the locals, all of which have been stored. */
  void forget() {
    loaded = 0;
  }

  private void pushElement(int array, int index) {
    code.getstatic(Names.MEMORY_EMITTER, "UNSAFE", Names.UNSAFE)
        .aload(array)
        .loadConstant(offset(index));
    code.invokevirtual(Names.UNSAFE, "getLong", Names.type(Names.J, Names.OBJECT, Names.J));
  }

  private void popElement(int array, int index, int local) {
    code.getstatic(Names.MEMORY_EMITTER, "UNSAFE", Names.UNSAFE)
        .aload(array)
        .loadConstant(offset(index));
    code.lload(local);
    code.invokevirtual(
        Names.UNSAFE, "putLong", Names.type(Names.V, Names.OBJECT, Names.J, Names.J));
  }

  /** Inside the arrays by construction: they have an element for every index used here. */
  private static long offset(int index) {
    return Unsafe.ARRAY_LONG_BASE_OFFSET + (long) index * Unsafe.ARRAY_LONG_INDEX_SCALE;
  }

  // ---- use

  /** The local of a general register, to be read. */
  int general(int register) {
    if ((loaded & RegisterMask.general(register)) == 0) {
      throw new IllegalStateException("register " + register + " is not loaded");
    }
    return local(general, register);
  }

  /** The local of a general register, to be written as a whole. */
  int written(int register) {
    loaded |= RegisterMask.general(register);
    changed |= RegisterMask.general(register);
    return local(general, register);
  }

  int xmm(int register, boolean high) {
    if ((loaded & RegisterMask.xmm(register)) == 0) {
      throw new IllegalStateException("xmm" + register + " is not loaded");
    }
    return local(high ? xmmHigh : xmmLow, register);
  }

  /**
   * The local of one half of an XMM register, to be written; where the other half is not, the
   * register must be loaded.
   */
  int writtenXmm(int register, boolean high) {
    loaded |= RegisterMask.xmm(register);
    changed |= RegisterMask.xmm(register);
    return local(high ? xmmHigh : xmmLow, register);
  }

  void flagsWritten() {
    loaded |= RegisterMask.FLAGS;
    changed |= RegisterMask.FLAGS;
  }
}
