package io.anillo.vmm.x86.translate;

import io.anillo.vmm.memory.GuestMemory;
import io.anillo.vmm.x86.mmu.TlbArray;
import io.anillo.vmm.x86.translate.AccessGroups.Access;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.util.ArrayList;
import java.util.List;
import jdk.internal.misc.Unsafe;

/**
 * Accesses to guest memory: the lookup of the TLB inline; what is not in it leaves the region, and
 * the interpreter does the access and fills the TLB. So no access is a call, around which HotSpot
 * would keep everything in memory.
 *
 * <p>With several processors, guest loads are followed by an acquire fence and guest stores
 * preceded by a release fence: together x86's order of everything but a store and a later load of
 * another place, which is x86's too.
 */
final class MemoryEmitter {
  /** Above the bits of a linear address that say which entry is its. */
  private static final int UNIQUE_SHIFT =
      TlbArray.SHIFT + Integer.SIZE - Integer.numberOfLeadingZeros(TlbArray.ENTRY_MASK);

  /** From elements of the TLB's array to bytes. */
  private static final int BYTES_SHIFT = 3;

  /** What generated code accesses memory with: a constant there. */
  static final Unsafe UNSAFE = Unsafe.getUnsafe();

  private final Frame frame;
  private final CodeBuilder code;
  private final RegionMachine machine;

  /** Where the processor's TLB begins in the array, in bytes from the array's object. */
  private final int base;

  private final int linear;
  private final int entry;

  /** Where the access that was located last alone lies in guest memory. */
  private final int offset;

  /** Where the stretches of {@link AccessGroups} lie that were looked up in this block. */
  private final int[] stretches = new int[AccessGroups.MOST];

  /** A bit for each of them that is known here. */
  private int known;

  /** The local that says where the access lies that was located last, and bytes to add to it. */
  private int place;

  private int plusPlace;

  /** Whether the place is a host address, and need not be masked. */
  private boolean absolute;

  /**
   * Linear addresses of the pages of {@link LastPages}, and where these are in the host's memory.
   */
  private int[] pageTags = {};

  private int[] pageHosts = {};

  /** Where a page is in the host's memory that is to be kept. */
  private int newHost;

  /**
   * The linear address and a number that is another for each access, of bits that the number of an
   * entry does not depend on: so no lookup is part of another one. Else the optimizing compiler
   * would calculate what two rare ways have in common on the usual one.
   */
  private int shifted;

  private long kept;

  /** Code for what hardly ever happens, written behind everything else. */
  private final List<Runnable> rare = new ArrayList<>();

  MemoryEmitter(Frame frame, RegionMachine machine) {
    this.frame = frame;
    this.code = frame.code;
    this.machine = machine;
    base = code.allocateLocal(TypeKind.INT);
    linear = code.allocateLocal(TypeKind.LONG);
    entry = code.allocateLocal(TypeKind.LONG);
    offset = code.allocateLocal(TypeKind.LONG);
    place = offset;
  }

  /** Keeps so many pages, from here on. */
  void keepPages(int count) {
    pageTags = new int[count];
    pageHosts = new int[count];
    for (int i = 0; i < count; i++) {
      pageTags[i] = code.allocateLocal(TypeKind.LONG);
      pageHosts[i] = code.allocateLocal(TypeKind.LONG);
      code.lconst_0().lstore(pageHosts[i]);
    }
    if (count > 0) {
      newHost = code.allocateLocal(TypeKind.LONG);
      shifted = code.allocateLocal(TypeKind.LONG);
    }
  }

  /**
   * As {@link #locate}, where the access is likely to lie in a kept page. Inside a page that was
   * looked up it is bounded without a mask.
   */
  void locateKept(int sizeBytes, boolean write, LastPages.Kept page) {
    int tag = pageTags[page.number()];
    int host = pageHosts[page.number()];
    Label other = code.newLabel();
    Label located = code.newLabel();
    Label exit = frame.sideExit();
    code.lstore(linear);
    code.lload(linear).lload(tag).lsub().lstore(offset);
    code.lload(offset).loadConstant((long) GuestMemory.PAGE_BYTES - sizeBytes);
    code.invokestatic(Names.LONG, "compareUnsigned", Names.type(Names.I, Names.J, Names.J));
    code.ifgt(other);
    code.lload(offset).lload(host).ladd().lstore(offset);
    code.labelBinding(located);
    place = offset;
    plusPlace = 0;
    absolute = true;
    long shift = ++kept << UNIQUE_SHIFT;
    rare.add(() -> {
      code.labelBinding(other);
      code.lload(linear).loadConstant(shift).ladd().lstore(shifted);
      code.lload(shifted);
      find();
      checkShiftedPage(write ? 1 : 0, sizeBytes - 1, shift);
      code.ifne(exit);
      pushEntry(2);
      pushShiftedPage(0);
      code.loadConstant(shift).lsub().ladd();
      pushHost();
      code.lstore(newHost);
      code.lload(newHost).lload(shifted).loadConstant(4095L).land().ladd().lstore(offset);
      if (page.write() && !write) {
        // Kept for what writes as well.
        checkShiftedPage(1, 0, shift);
        code.ifne(located);
      }
      pushShiftedPage(0);
      code.loadConstant(shift).lsub().lstore(tag);
      code.lload(newHost).lstore(host);
      code.goto_(located);
    });
  }

  /** Compares an entry's tag with the page of a byte of the access. */
  private void checkShiftedPage(int tag, int plus, long shift) {
    pushEntry(tag);
    code.loadConstant(shift).ladd();
    pushShiftedPage(plus);
    code.lcmp();
  }

  private void pushShiftedPage(int plus) {
    code.lload(shifted);
    if (plus != 0) {
      code.loadConstant((long) plus).ladd();
    }
    code.loadConstant(-4096L).land();
  }

  /** A block begins, or anything may be another: what was looked up says nothing any more. */
  void forget() {
    known = 0;
  }

  /** Whether the stretch of an access was looked up; it is located then. */
  boolean isLocated(Access access) {
    if ((known >> access.group() & 1) == 0) {
      return false;
    }
    place = stretches[access.group()];
    plusPlace = access.plus();
    absolute = false;
    return true;
  }

  /** As {@link #locate}, for all accesses of a group of which this is the first. */
  void locateStretch(Access access) {
    if (stretches[access.group()] == 0) {
      stretches[access.group()] = code.allocateLocal(TypeKind.LONG);
    }
    if (access.plus() != 0) {
      code.loadConstant((long) access.plus()).lsub();
    }
    code.lstore(linear);
    code.lload(linear);
    find();
    place = stretches[access.group()];
    plusPlace = access.plus();
    absolute = false;
    known |= 1 << access.group();
    check(access.span(), access.write(), frame.sideExit());
  }

  private void alone() {
    place = offset;
    plusPlace = 0;
    absolute = false;
  }

  /** The TLB may be another: at the entry, and behind an instruction that was a step. */
  void reload() {
    code.aload(frame.cpu).invokevirtual(Names.CPU, "tlbBase", Names.type(Names.I));
    code.iconst_3().ishl();
    code.loadConstant((int) Unsafe.ARRAY_LONG_BASE_OFFSET).iadd().istore(base);
    for (int tag : pageTags) {
      code.lconst_1().lstore(tag); // no page
    }
  }

  /** Takes a linear address, alone on the stack, and leaves its offset in a local, or exits. */
  void locate(int sizeBytes, boolean write) {
    alone();
    code.lstore(linear);
    code.lload(linear);
    find();
    check(sizeBytes, write, frame.sideExit());
  }

  /**
   * As {@link #locate}, with another address on top of the stack that may lie in the same page:
   * that is looked up first.
   */
  void locateGuessed(int sizeBytes, boolean write, PageGuess.Proof proof) {
    alone();
    find();
    code.lstore(linear);
    Label wrong = code.newLabel();
    Label located = code.newLabel();
    Label exit = frame.sideExit();
    check(sizeBytes, write, wrong, proof);
    code.labelBinding(located);
    rare.add(() -> {
      code.labelBinding(wrong);
      alone();
      code.lload(linear);
      find();
      check(sizeBytes, write, exit);
      code.goto_(located);
    });
  }

  /** Puts off code for what hardly ever happens. */
  void later(Runnable code) {
    rare.add(code);
  }

  /** Writes what was put off. */
  void writeRare() {
    rare.forEach(Runnable::run);
  }

  /**
   * Takes an address and finds its entry: masked, so that it is inside the processor's part of the
   * array whatever the address.
   */
  private void find() {
    // In ints, which the fast compiler has constants for in its instructions.
    code.l2i().bipush(TlbArray.SHIFT - BYTES_SHIFT).iushr();
    code.loadConstant(TlbArray.ENTRY_MASK << BYTES_SHIFT).iand().iload(base).iadd();
    code.i2l().lstore(entry);
  }

  /** Leaves the offset if the entry is that of the whole access, else goes elsewhere. */
  private void check(int sizeBytes, boolean write, Label otherwise) {
    // An entry that was found by the first byte is never that of another page.
    check(sizeBytes, write, otherwise, PageGuess.Proof.END);
  }

  private void check(int sizeBytes, boolean write, Label otherwise, PageGuess.Proof proof) {
    int tag = write ? 1 : 0;
    switch (proof) {
      case END -> checkPage(tag, sizeBytes - 1, -4096L, otherwise);
      case BEGINNING -> checkPage(tag, 0, -4096L, otherwise);
      case BEGINNING_OF_ALIGNED -> checkPage(tag, 0, -4096L | sizeBytes - 1, otherwise);
      case BOTH_ENDS -> {
        checkPage(tag, 0, -4096L, otherwise);
        checkPage(tag, sizeBytes - 1, -4096L, otherwise);
      }
    }
    pushEntry(2);
    code.lload(linear).ladd().lstore(place);
  }

  /** Goes elsewhere if some bits of an address behind the linear one are not what an entry has. */
  private void checkPage(int tag, int plus, long bits, Label otherwise) {
    pushEntry(tag);
    code.lload(linear);
    if (plus != 0) {
      code.loadConstant((long) plus).ladd();
    }
    code.loadConstant(bits).land().lcmp().ifne(otherwise);
  }

  private void pushEntry(int index) {
    code.getstatic(Names.MEMORY_EMITTER, "UNSAFE", Names.UNSAFE);
    code.getstatic(Names.REGION, "TLB", Names.LONG_ARRAY);
    code.lload(entry);
    if (index != 0) {
      code.loadConstant((long) index << BYTES_SHIFT).ladd();
    }
    code.invokevirtual(Names.UNSAFE, "getLong", Names.type(Names.J, Names.OBJECT, Names.J));
  }

  /**
   * Pushes what {@link Unsafe} wants for the located place: bounded by construction, as in {@link
   * GuestMemory}, since the offset is masked into the range; or that of the page was, and the
   * access was found to be inside the page.
   */
  private void pushPlace(int plus) {
    code.getstatic(Names.MEMORY_EMITTER, "UNSAFE", Names.UNSAFE).aconst_null();
    code.lload(place);
    if (plusPlace + plus != 0) {
      code.loadConstant((long) plusPlace + plus).ladd();
    }
    if (!absolute) {
      pushHost();
    }
  }

  /** From an offset into guest memory to the host's address. */
  private void pushHost() {
    code.loadConstant(machine.memory().rangeBytes() - 1).land();
    code.loadConstant(machine.memory().hostAddress()).ladd();
  }

  /**
   * Pushes what lies at the located place: a long for 8 bytes, else an int, zero-extended below 4
   * bytes.
   */
  void push(int sizeBytes) {
    push(sizeBytes, 0);
  }

  /** As {@link #push(int)}, some bytes further. */
  void push(int sizeBytes, int plus) {
    pushPlace(plus);
    switch (sizeBytes) {
      case 8 -> get("getLong", Names.J);
      case 4 -> get("getInt", Names.I);
      case 2 -> {
        get("getShort", ConstantDescs.CD_short);
        code.loadConstant(0xFFFF).iand();
      }
      default -> {
        get("getByte", ConstantDescs.CD_byte);
        code.loadConstant(0xFF).iand();
      }
    }
    if (machine.ordered()) {
      code.invokestatic(Names.VAR_HANDLE, "acquireFence", Names.type(Names.V));
    }
  }

  private void get(String name, ClassDesc type) {
    code.invokevirtual(Names.UNSAFE, name, Names.type(type, Names.OBJECT, Names.J));
  }

  /** Stores a local at the located place: a long local for 8 bytes, else an int local. */
  void store(int sizeBytes, int local) {
    store(sizeBytes, local, 0);
  }

  /** As {@link #store(int, int)}, some bytes further. */
  void store(int sizeBytes, int local, int plus) {
    if (machine.ordered()) {
      code.invokestatic(Names.VAR_HANDLE, "releaseFence", Names.type(Names.V));
    }
    pushPlace(plus);
    if (sizeBytes == 8) {
      code.lload(local);
    } else {
      code.iload(local);
    }
    switch (sizeBytes) {
      case 8 -> put("putLong", Names.J);
      case 4 -> put("putInt", Names.I);
      case 2 -> {
        code.i2s();
        put("putShort", ConstantDescs.CD_short);
      }
      default -> {
        code.i2b();
        put("putByte", ConstantDescs.CD_byte);
      }
    }
  }

  private void put(String name, ClassDesc type) {
    code.invokevirtual(Names.UNSAFE, name, Names.type(Names.V, Names.OBJECT, Names.J, type));
  }
}
