package io.anillo.vmm.x86.translate;

import io.anillo.vmm.x86.execute.LazyFlags;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.lang.constant.MethodTypeDesc;

/**
 * The arithmetic flags of a region: four locals in the form of {@link LazyFlags}, and what is known
 * of them while code is written. Setting flags costs moves between locals, which HotSpot makes
 * disappear where nobody looks.
 */
final class FlagEmitter {
  /** The kind is not known here; it stands in the local. */
  static final int UNKNOWN = -1;

  private static final MethodTypeDesc OF_TWO = Names.type(Names.J, Names.I, Names.J, Names.J);
  private static final MethodTypeDesc OF_THREE =
      Names.type(Names.J, Names.I, Names.J, Names.J, Names.J);

  private final CodeBuilder code;
  private final int kind;
  final int a;
  final int b;
  private final int c;

  /** Taken when it is first used. */
  private int newCarry = -1;

  private Runnable written = () -> {};

  /** What the local of the kind holds, if that is known. */
  private int known = UNKNOWN;

  /** What the flags were last set by, while its operands are still in temporaries. */
  private Fusion fusion = Fusion.NONE;

  /** What is known of the flags at one place. */
  record Knowledge(int kind, Fusion fusion) {
    static final Knowledge NOTHING = new Knowledge(UNKNOWN, Fusion.NONE);

    Knowledge meet(Knowledge other) {
      return new Knowledge(
          kind == other.kind ? kind : UNKNOWN, fusion.equals(other.fusion) ? fusion : Fusion.NONE);
    }
  }

  FlagEmitter(CodeBuilder code) {
    this.code = code;
    kind = code.allocateLocal(TypeKind.INT);
    a = code.allocateLocal(TypeKind.LONG);
    b = code.allocateLocal(TypeKind.LONG);
    c = code.allocateLocal(TypeKind.LONG);
  }

  // ---- knowledge

  Knowledge knowledge() {
    return new Knowledge(known, fusion);
  }

  void know(Knowledge knowledge) {
    known = knowledge.kind;
    fusion = knowledge.fusion;
  }

  Fusion fusion() {
    return fusion;
  }

  /** Temporaries are about to be used for something else than what the fusion names. */
  void forgetOperands() {
    if (fusion.kind() == Fusion.Kind.COMPARISON) {
      fusion = Fusion.NONE;
    }
  }

  // ---- to and from the processor's state

  /** Loads the flags, with the processor's state on the stack, which is taken. */
  void load() {
    code.dup().getfield(Names.STATE, "flagResult", Names.J).lstore(a);
    code.getfield(Names.STATE, "flagCarries", Names.J).lstore(b);
    code.lconst_0().lstore(c);
    code.loadConstant(LazyFlags.RAW).istore(kind);
    known = LazyFlags.RAW;
    fusion = Fusion.NONE;
  }

  /** Stores the flags, with the processor's state on the stack, which is taken. */
  void store() {
    if (known == LazyFlags.RAW) {
      code.dup().lload(a).putfield(Names.STATE, "flagResult", Names.J);
      code.lload(b).putfield(Names.STATE, "flagCarries", Names.J);
      return;
    }
    code.iload(kind).lload(a).lload(b).lload(c);
    code.invokestatic(
        Names.FLAGS, "store", Names.type(Names.V, Names.STATE, Names.I, Names.J, Names.J, Names.J));
  }

  private void pushResult() {
    code.iload(kind).lload(a).lload(b);
    code.invokestatic(Names.FLAGS, "result", OF_TWO);
  }

  private void pushCarries() {
    code.iload(kind).lload(a).lload(b).lload(c);
    code.invokestatic(Names.FLAGS, "carries", OF_THREE);
  }

  // ---- setting

  /** Tells whoever keeps track of what has changed. */
  void whenWritten(Runnable action) {
    written = action;
  }

  /** A kind without an overlay. */
  private void setBase(int newKind) {
    code.lconst_0().lstore(c);
    setKind(newKind);
  }

  private void setKind(int newKind) {
    written.run();
    code.loadConstant(newKind).istore(kind);
    known = newKind;
    fusion = Fusion.NONE;
  }

  /** Flags of an operation whose two values are in {@link #a} and {@link #b} already. */
  void set(int base, int sizeBytes) {
    setBase(base + LazyFlags.width(sizeBytes));
  }

  /** As {@link #set}, for a comparison or subtraction whose operands are still in temporaries. */
  void setSubtraction(int sizeBytes, int first, int second) {
    set(LazyFlags.SUB, sizeBytes);
    fusion = new Fusion(Fusion.Kind.COMPARISON, sizeBytes, first, second);
  }

  /** The flags of a logical operation whose sign-extended result is in {@link #a}. */
  void setLogic(int sizeBytes) {
    code.lconst_0().lstore(b);
    setBase(LazyFlags.RAW);
    fusion = Fusion.logic(sizeBytes);
  }

  /** The flags are the two numbers in {@link #a} and {@link #b}. */
  void setRaw() {
    setBase(LazyFlags.RAW);
  }

  /** The flags are those of a floating-point comparison, in {@link #a}. */
  void setCompared() {
    code.lconst_0().lstore(b);
    setBase(LazyFlags.COMPARED);
  }

  /** CF and OF become what an overlay says, whose value is on the stack. */
  void overlay(int overlay) {
    code.lstore(c);
    fusion = Fusion.NONE;
    if (known != UNKNOWN) {
      setKind(known & LazyFlags.BASE_MASK | overlay);
      return;
    }
    code.iload(kind).loadConstant(LazyFlags.BASE_MASK).iand();
    code.loadConstant(overlay).ior().istore(kind);
    written.run();
  }

  /** CF becomes bit 0 of the long on the stack; ZF, SF, PF, AF and OF stay. */
  void overlayBit() {
    if (known == UNKNOWN || known > LazyFlags.BASE_MASK) {
      // There may be a rotation's OF to be kept, or not: as plain numbers it is.
      if (newCarry < 0) {
        newCarry = code.allocateLocal(TypeKind.LONG);
      }
      code.lstore(newCarry);
      settle();
      code.lload(newCarry);
    }
    overlay(LazyFlags.BIT);
  }

  /** Turns the flags into raw ones, so that anything may be laid over them. */
  void settle() {
    if (known == LazyFlags.RAW) {
      return;
    }
    Label end = code.newLabel();
    if (known == UNKNOWN) {
      code.iload(kind).ifeq(end);
    }
    pushCarries();
    pushResult();
    code.lstore(a).lstore(b);
    code.labelBinding(end);
    setBase(LazyFlags.RAW);
  }

  // ---- looking

  /** Pushes a long whose bit 63 is CF. */
  void pushCarry() {
    if (known != UNKNOWN && known <= LazyFlags.LAST_CARRY_IN_B) {
      code.lload(b);
      return;
    }
    if (known == LazyFlags.SUB + 3) {
      code.lload(a).lload(b).lload(a).lload(b).lsub();
      code.invokestatic(
          Names.ALU, "subtractCarries64", Names.type(Names.J, Names.J, Names.J, Names.J));
      return;
    }
    Label quick = code.newLabel();
    Label end = code.newLabel();
    if (known == UNKNOWN) {
      code.iload(kind).loadConstant(LazyFlags.LAST_CARRY_IN_B).if_icmple(quick);
    }
    code.iload(kind).lload(a).lload(b).lload(c);
    code.invokestatic(Names.FLAGS, "carry", OF_THREE);
    if (known == UNKNOWN) {
      code.goto_(end);
      code.labelBinding(quick);
      code.lload(b);
    }
    code.labelBinding(end);
  }

  /** Pushes whether a condition holds, as an int. */
  void pushCondition(int condition) {
    code.loadConstant(condition).iload(kind).lload(a).lload(b).lload(c);
    code.invokestatic(
        Names.FLAGS, "condition", Names.type(Names.Z, Names.I, Names.I, Names.J, Names.J, Names.J));
  }

  /** The kind known here, or {@link #UNKNOWN}. */
  int known() {
    return known;
  }
}
